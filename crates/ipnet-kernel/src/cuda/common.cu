// What the kernels share: arithmetic as on the CPU's lanes, and the sums over channels.
//
// Operations and their order are those of the CPU lanes, compiled with --fmad=false and written with fmaf where the
// lanes multiply and add at once, so that both round alike.

typedef unsigned int u32;
typedef unsigned long long u64;

// self < x ? self : x and self > x ? self : x: a NaN in x comes through.
__device__ inline float min_with(float self, float x) { return self < x ? self : x; }
__device__ inline float max_with(float self, float x) { return self > x ? self : x; }

// 2^x, x in [-126, 127].
__device__ inline float exp2_of(float x) {
    float shifted = x + 12583039.0f;
    float f = x - (shifted - 12583039.0f);
    float poly = 0.0013264727f;
    poly = fmaf(poly, f, 0.009671513f);
    poly = fmaf(poly, f, 0.055507336f);
    poly = fmaf(poly, f, 0.24022242f);
    poly = fmaf(poly, f, 0.693147f);
    poly = fmaf(poly, f, 1.0f);
    return poly * __uint_as_float(__float_as_uint(shifted) << 23);
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
