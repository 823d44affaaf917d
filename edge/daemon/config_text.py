"""The commented configuration that `edge-daemon init` writes."""

from __future__ import annotations

import json

_TEXT = """\
# Configuration of edge-daemon. Check it with:  edge-daemon check {path}
# Every key that is commented out shows its default.

[daemon]
state = {state}    # folder for the outbox and the sources' places; must survive a restart
# workers = 1            # threads that run the networks
# history_s = 120.0      # seconds of each channel in memory; also how far back a restart reads
# warm_up_s = 30.0       # results this soon after a stream's start are marked "warm_up"
# max_stations = 64      # further stations are refused
# stall_s = 30.0         # systemd's watchdog bites when packets wait longer than this

[http]
# listen = "127.0.0.1:8600"   # page, /health, /metrics; "" for none; "0.0.0.0:8600" shows it to the network

# Where packets come from; one [[source]] for each. Other examples:
#   udp://:8888?format=datacast&station=AM.R24FA.00      a Raspberry Shake's data cast
#   seedlink://geofon.gfz.de:18000?streams=CX_PB01:HH?   a SeedLink server
#   serial:/dev/ttyACM0?baud=115200                      a digitizer on a serial port
#   mqtts://user@broker:8883/traces/+/+?format=openeew&password_file=/etc/seisedge/mqtt
[[source]]
url = {url}
# name = ""                  # in messages and metrics; the URL by default
# queue_packets = 4096       # packets that may wait for the network
# when_full = "auto"         # "drop-oldest" (fresh data first), "wait", or by the kind of source

# Which model. Several may run at once; a station may be picked by more than one.
[[model]]
name = "default"
artefact = "edge-picker"   # an embedded model, or the path of an .onnx artefact; "edge-picker-long" finds more S
                           # and makes fewer false picks, but needs 51 s without a gap
# threshold = {{ P = 0.45, S = 0.45 }}   # the artefact's own by default
# stride = 0                 # samples from window to window; 0: the artefact's own; 50 looks twice a second at 100 Hz
# batch = 64

# Which stations; without any [[station]], all that come in.
# [[station]]
# match = "CX.PB0?..HH"      # NET.STA.LOC.CH with * and ?
# models = ["default"]
# reorder_wait_s = 5.0       # how long (seconds of data) a late packet or a silent component is waited for
# components = "Z"           # what the station has, e.g. a vertical alone: then nothing waits for the others

# Where results go; one [[sink]] for each. `name` tells sinks of one type apart.
[[sink]]
type = "jsonl"
path = {picks}
# rotate_megabytes = 64
# keep = 10
# fsync = true               # confirm only what is on the disk
# provisional = true         # false: final picks only

# [[sink]]
# type = "mqtt"              # QoS 1
# host = "localhost"
# topic = "seisedge/{{kind}}/{{network}}.{{station}}.{{location}}.{{channel}}"
# tls = false                # with ca_file, and cert_file and key_file where the broker wants them
# user = ""
# password_file = ""         # a file, or the name of a systemd credential

# [[sink]]
# type = "waveform"          # miniSEED around each final pick
# folder = "/var/lib/seisedge/waveforms"
# before_s = 15.0
# after_s = 45.0

# Others: csv (path), quakeml (folder), http (url, token_file), udp (host, port), datalink (host, port)
"""


def config_text(url: str, *, state: str = "/var/lib/seisedge", path: str = "/etc/seisedge/daemon.toml") -> str:
    """Write a configuration for a source's URL; it can be read as it stands."""
    quoted = {"url": json.dumps(url), "state": json.dumps(state), "picks": json.dumps(f"{state}/picks.jsonl")}
    return _TEXT.format(path=path, **quoted)
