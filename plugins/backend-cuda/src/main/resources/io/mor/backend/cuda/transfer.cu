// Copies between the device and pinned memory of the host, which kernels see at its own address. As kernels they are launches like all others: their
// place in a step is fixed, their addresses are arguments.
#include "common.cuh"

extern "C" __global__ void copyWords(u32* out, const u32* in, i64 words) {
  for (i64 i = threadIndex(); i < words; i += threadStride()) {
    out[i] = in[i];
  }
}

extern "C" __global__ void copyHalves(unsigned short* out, const unsigned short* in, i64 halves) {
  for (i64 i = threadIndex(); i < halves; i += threadStride()) {
    out[i] = in[i];
  }
}
