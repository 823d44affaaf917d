"""NVIDIA's driver by ctypes: which GPU is there, memory on it, copies to and fro.

TensorRT's own Python module wants a second package for memory, and ends the process when there is no driver. This asks
the driver first, and needs nothing but `libcuda.so.1`, which every machine with a working GPU has.

Functions and numbers: CUDA Driver API, `cuda.h`.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .errors import GpuError

LIBRARY = "libcuda.so.1"

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_NAME_BYTES = 256
_HANDLE = ctypes.c_void_p
_ADDRESS = ctypes.c_uint64

_ARGUMENTS: dict[str, tuple[type, ...]] = {
    "cuInit": (ctypes.c_uint,),
    "cuGetErrorName": (ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)),
    "cuDriverGetVersion": (ctypes.POINTER(ctypes.c_int),),
    "cuDeviceGetCount": (ctypes.POINTER(ctypes.c_int),),
    "cuDeviceGet": (ctypes.POINTER(ctypes.c_int), ctypes.c_int),
    "cuDeviceGetName": (ctypes.c_char_p, ctypes.c_int, ctypes.c_int),
    "cuDeviceGetAttribute": (ctypes.POINTER(ctypes.c_int), ctypes.c_int, ctypes.c_int),
    "cuDeviceTotalMem_v2": (ctypes.POINTER(ctypes.c_size_t), ctypes.c_int),
    "cuDevicePrimaryCtxRetain": (ctypes.POINTER(_HANDLE), ctypes.c_int),
    "cuDevicePrimaryCtxRelease_v2": (ctypes.c_int,),
    "cuCtxSetCurrent": (_HANDLE,),
    "cuStreamCreate": (ctypes.POINTER(_HANDLE), ctypes.c_uint),
    "cuStreamSynchronize": (_HANDLE,),
    "cuStreamDestroy_v2": (_HANDLE,),
    "cuMemAlloc_v2": (ctypes.POINTER(_ADDRESS), ctypes.c_size_t),
    "cuMemFree_v2": (_ADDRESS,),
    "cuMemcpyHtoDAsync_v2": (_ADDRESS, ctypes.c_void_p, ctypes.c_size_t, _HANDLE),
    "cuMemcpyDtoHAsync_v2": (ctypes.c_void_p, _ADDRESS, ctypes.c_size_t, _HANDLE),
}


@dataclass(frozen=True)
class Gpu:
    """The first GPU of a machine.

    Attributes
    ----------
    compute_capability
        Such as `8.7`, which is a Jetson Orin: an engine runs on the one it was built on only.
    memory_bytes
        All of it; on a Jetson that of the whole board.
    driver_version
        The CUDA version of the driver, 12060 for 12.6.
    """

    name: str
    compute_capability: str
    memory_bytes: int
    driver_version: int


class CudaDriver:
    """The driver, initialised, with the first GPU's primary context.

    Raises
    ------
    GpuError
        There is no driver, or no GPU that it can use.
    """

    def __init__(self, library: str = LIBRARY) -> None:
        try:
            self._library = ctypes.CDLL(library)
        except OSError as error:
            raise GpuError(
                f"GPU: found no {library}, wanted NVIDIA's driver: a Jetson has it from JetPack, a PC from the "
                "GPU's driver package"
            ) from error
        for name, arguments in _ARGUMENTS.items():
            function = getattr(self._library, name, None)
            if function is None:
                raise GpuError(f"GPU: found no {name} in {library}, wanted NVIDIA's driver of CUDA 11 or later")
            function.argtypes, function.restype = arguments, ctypes.c_int
        self._call("cuInit", 0)
        count = ctypes.c_int()
        self._call("cuDeviceGetCount", ctypes.byref(count))
        if count.value < 1:
            raise GpuError("GPU: found a driver and no GPU, wanted one")
        device = ctypes.c_int()
        self._call("cuDeviceGet", ctypes.byref(device), 0)
        self._device = device.value
        self._context = _HANDLE()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), self._device)
        self._stream = _HANDLE()
        self.use()
        self._call("cuStreamCreate", ctypes.byref(self._stream), 0)

    @property
    def stream(self) -> int:
        """The stream that everything goes through, as a number."""
        return self._stream.value or 0

    def gpu(self) -> Gpu:
        """Describe the GPU."""
        name, memory = ctypes.create_string_buffer(_NAME_BYTES), ctypes.c_size_t()
        major, minor, version = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        self._call("cuDeviceGetName", name, _NAME_BYTES, self._device)
        self._call("cuDeviceGetAttribute", ctypes.byref(major), _MAJOR, self._device)
        self._call("cuDeviceGetAttribute", ctypes.byref(minor), _MINOR, self._device)
        self._call("cuDeviceTotalMem_v2", ctypes.byref(memory), self._device)
        self._call("cuDriverGetVersion", ctypes.byref(version))
        text = name.value.decode("utf-8", "replace")
        return Gpu(text, f"{major.value}.{minor.value}", memory.value, version.value)

    def use(self) -> None:
        """Make the GPU current for this thread; every thread has to before it calls anything else."""
        self._call("cuCtxSetCurrent", self._context)

    def allocate(self, size: int) -> int:
        """Take memory on the GPU; give its address."""
        address = _ADDRESS()
        self._call("cuMemAlloc_v2", ctypes.byref(address), size)
        return address.value

    def free(self, address: int) -> None:
        """Give memory back."""
        self._call("cuMemFree_v2", address)

    def write(self, address: int, array: npt.NDArray[np.float32]) -> None:
        """Begin to copy a contiguous array to the GPU; it must stay until `wait` returns."""
        self._call("cuMemcpyHtoDAsync_v2", address, array.ctypes.data, array.nbytes, self._stream)

    def read(self, array: npt.NDArray[np.float32], address: int) -> None:
        """Begin to copy from the GPU into a contiguous array; it is whole when `wait` returns."""
        self._call("cuMemcpyDtoHAsync_v2", array.ctypes.data, address, array.nbytes, self._stream)

    def wait(self) -> None:
        """Wait until all that was begun is done."""
        self._call("cuStreamSynchronize", self._stream)

    def close(self) -> None:
        """Give everything back; nothing may be called afterwards."""
        self._call("cuStreamDestroy_v2", self._stream)
        self._call("cuDevicePrimaryCtxRelease_v2", self._device)

    def _call(self, name: str, *arguments: object) -> None:
        status = getattr(self._library, name)(*arguments)
        if status != 0:
            text = ctypes.c_char_p()
            self._library.cuGetErrorName(status, ctypes.byref(text))
            raise GpuError(f"GPU: {name} failed: {(text.value or b'unknown').decode('ascii', 'replace')} ({status})")
