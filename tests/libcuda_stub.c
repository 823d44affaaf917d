/* NVIDIA's driver as far as cuda_driver.py calls it: its "GPU" memory is the host's. Compiled by the tests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef GPUS
#define GPUS 1
#endif
#ifndef FAIL
#define FAIL 0
#endif

static int live; /* allocations that were not given back */

int stub_live(void) { return live; }
int cuInit(unsigned flags) { return flags ? 1 : FAIL; }
int cuGetErrorName(int status, const char **name) { *name = status == 100 ? "CUDA_ERROR_NO_DEVICE" : 0; return 0; }
int cuDriverGetVersion(int *version) { *version = 12060; return 0; }
int cuDeviceGetCount(int *count) { *count = GPUS; return 0; }
int cuDeviceGet(int *device, int place) { *device = place; return 0; }
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, "Stub Orin", (size_t)size); return device; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  *value = attribute == 75 ? 8 : attribute == 76 ? 7 : -1;
  return device;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = (size_t)8 << 30; return device; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = &live; return device; }
int cuDevicePrimaryCtxRelease_v2(int device) { return device; }
int cuCtxSetCurrent(void *context) { return context == &live ? 0 : 201; }
int cuStreamCreate(void **stream, unsigned flags) { *stream = malloc(1); return (int)flags; }
int cuStreamSynchronize(void *stream) { return stream ? 0 : 400; }
int cuStreamDestroy_v2(void *stream) { free(stream); return 0; }
int cuMemAlloc_v2(uint64_t *address, size_t size) { *address = (uint64_t)(uintptr_t)malloc(size); live++; return 0; }
int cuMemFree_v2(uint64_t address) { free((void *)(uintptr_t)address); live--; return 0; }
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *stream) {
  memcpy((void *)(uintptr_t)to, from, size);
  return stream ? 0 : 400;
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *stream) {
  memcpy(to, (void *)(uintptr_t)from, size);
  return stream ? 0 : 400;
}
