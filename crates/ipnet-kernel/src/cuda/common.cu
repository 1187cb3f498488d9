// What the kernels share: arithmetic as on the CPU's lanes, and the sums over channels.
//
// Operations and their order are those of the CPU lanes, compiled with --fmad=false and written with fmaf where the
// lanes multiply and add at once, so that both round alike.

typedef unsigned int u32;
typedef unsigned long long u64;

// self < x ? self : x and self > x ? self : x: a NaN in x comes through.
__device__ inline float min_with(float self, float x) { return self < x ? self : x; }
__device__ inline float max_with(float self, float x) { return self > x ? self : x; }

// Bits of 2^(k/16), less those of 1 and less k << 19: modulo 2^32.
__device__ const u32 POW2_SIXTEENTHS[16] = {
    0x00000000u, 0xfffdaac3u, 0xfffb95c2u, 0xfff9c3d3u, 0xfff837f0u, 0xfff6f532u, 0xfff5fed7u, 0xfff5583fu,
    0xfff504f3u, 0xfff508a4u, 0xfff5672au, 0xfff6248cu, 0xfff744fdu, 0xfff8ccdfu, 0xfffac0c7u, 0xfffd257du};

// 1.5 * 2^19 + 127: adding it leaves the nearest sixteenth in the low bits, with an exponent's offset.
#define SHIFT 786559.0f

// 2^n where shifted is n + SHIFT. Lanes that differ in the table's word still read one line of it.
__device__ inline float pow2_of_shifted(float shifted) {
    u32 bits = __float_as_uint(shifted);
    return __uint_as_float((bits << 19) + POW2_SIXTEENTHS[bits & 15u]);
}

// 2^x, x in [-126, 127].
__device__ inline float exp2_of(float x) {
    float shifted = x + SHIFT;
    float f = x - (shifted - SHIFT);
    float scale = pow2_of_shifted(shifted);
    return fmaf(scale * f, fmaf(f, 0.24022643f, 0.6931877f), scale);
}

// Sums over the neurons of a channel, in f64 and in a fixed order: block c of row r gives totals[r * C + c].
extern "C" __global__ void sum_channels(u64 neurons, u64 channels, u64 inner, const float* __restrict__ sums,
                                        double* __restrict__ totals) {
    __shared__ double parts[256];
    u64 channel = blockIdx.x, row = blockIdx.y, batch = neurons / (channels * inner);
    double sum = 0.0;
    for (u64 i = threadIdx.x; i < batch * inner; i += 256) {
        u64 neuron = (i / inner * channels + channel) * inner + i % inner;
        sum += (double)sums[row * neurons + neuron];
    }
    parts[threadIdx.x] = sum;
    __syncthreads();
    for (int half = 128; half > 0; half /= 2) {
        if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) totals[row * channels + channel] = parts[0];
}
