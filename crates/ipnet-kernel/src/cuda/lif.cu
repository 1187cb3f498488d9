// Leaky integrate-and-fire neurons over [T, N] in one launch: the equations of the CPU's lif.rs, operation by operation.
//
// A thread owns VEC neighbouring neurons through all of time, state in registers. Set by the host: ADAPTIVE (0 or 1),
// VEC (1 or 4), SEGMENT (steps between checkpoints).

#define STATES (1 + ADAPTIVE)

struct Lif {
    u64 steps, neurons, channels, inner;
    float threshold, zeroing, subtracted, rho, strength, alpha, steepness, reset_gradient;
};

struct __align__(sizeof(float) * VEC) Pack { float v[VEC]; };

__device__ inline Pack load(const float* from, u64 at) { return *(const Pack*)(from + at); }
__device__ inline void store(float* to, u64 at, Pack pack) { *(Pack*)(to + at) = pack; }

// The spike; also m, and how far it is over the threshold. A NaN comes through.
__device__ inline float fire(const Lif& s, float decay, float x, const float* state, float* m, float* over) {
    *m = fmaf(decay, state[0], x);
    *over = *m - s.threshold;
#if ADAPTIVE
    *over = fmaf(-s.strength, state[1], *over);
#endif
    return *over < 0.0f ? 0.0f : min_with(1.0f, 1.0f + *over);
}

__device__ inline float step(const Lif& s, float decay, float x, float* state) {
    float m, over, spike = fire(s, decay, x, state, &m, &over);
    state[0] = fmaf(-s.subtracted, spike, m * fmaf(-s.zeroing, spike, 1.0f));
#if ADAPTIVE
    state[1] = fmaf(s.rho, state[1], spike);
#endif
    return spike;
}

// state0 and state1 are [STATES, N].
extern "C" __global__ void lif_forward(const Lif s, const float* __restrict__ x, const float* __restrict__ decays,
                                       const float* __restrict__ state0, float* __restrict__ out,
                                       float* __restrict__ state1) {
    u64 n = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * VEC;
    if (n >= s.neurons) return;
    float decay[VEC], state[VEC][STATES];
    for (int k = 0; k < VEC; ++k) {
        decay[k] = decays[(n + k) / s.inner % s.channels];
        for (int i = 0; i < STATES; ++i) state[k][i] = state0[i * s.neurons + n + k];
    }
    for (u64 t = 0; t < s.steps; ++t) {
        Pack drive = load(x, t * s.neurons + n), spikes;
        for (int k = 0; k < VEC; ++k) spikes.v[k] = step(s, decay[k], drive.v[k], state[k]);
        store(out, t * s.neurons + n, spikes);
    }
    for (int k = 0; k < VEC; ++k)
        for (int i = 0; i < STATES; ++i) state1[i * s.neurons + n + k] = state[k][i];
}

// checkpoints is [ceil(T / SEGMENT), STATES, N] of scratch; grad_state is [STATES, N], given and wanted; sums is [N].
extern "C" __global__ void lif_backward(const Lif s, const float* __restrict__ x, const float* __restrict__ decays,
                                        const float* __restrict__ state0, const float* __restrict__ grad_out,
                                        float* __restrict__ checkpoints, float* __restrict__ grad_x,
                                        float* __restrict__ grad_state, float* __restrict__ sums) {
    u64 n = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * VEC;
    if (n >= s.neurons) return;
    u64 segments = (s.steps + SEGMENT - 1) / SEGMENT;
    float reset_m = s.zeroing * s.reset_gradient, reset_d = s.subtracted * s.reset_gradient;
    float decay[VEC], state[VEC][STATES], grad[VEC][STATES], sum[VEC];
    for (int k = 0; k < VEC; ++k) {
        decay[k] = decays[(n + k) / s.inner % s.channels];
        sum[k] = 0.0f;
        for (int i = 0; i < STATES; ++i) {
            state[k][i] = state0[i * s.neurons + n + k];
            grad[k][i] = grad_state[i * s.neurons + n + k];
        }
    }
    for (u64 segment = 0; segment < segments; ++segment) {
        for (int k = 0; k < VEC; ++k)
            for (int i = 0; i < STATES; ++i) checkpoints[(segment * STATES + i) * s.neurons + n + k] = state[k][i];
        if (segment + 1 == segments) break;
        for (u64 t = segment * SEGMENT; t < (segment + 1) * SEGMENT; ++t) {
            Pack drive = load(x, t * s.neurons + n);
            for (int k = 0; k < VEC; ++k) step(s, decay[k], drive.v[k], state[k]);
        }
    }
    for (u64 segment = segments; segment-- > 0;) {
        u64 first = segment * SEGMENT, last = first + SEGMENT < s.steps ? first + SEGMENT : s.steps;
        float trace[SEGMENT][VEC][STATES];
        for (int k = 0; k < VEC; ++k)
            for (int i = 0; i < STATES; ++i) state[k][i] = checkpoints[(segment * STATES + i) * s.neurons + n + k];
        for (u64 t = first; t < last; ++t) {
            for (int k = 0; k < VEC; ++k)
                for (int i = 0; i < STATES; ++i) trace[t - first][k][i] = state[k][i];
            if (t + 1 == last) break;
            Pack drive = load(x, t * s.neurons + n);
            for (int k = 0; k < VEC; ++k) step(s, decay[k], drive.v[k], state[k]);
        }
        for (u64 t = last; t-- > first;) {
            Pack drive = load(x, t * s.neurons + n), g = load(grad_out, t * s.neurons + n), dx;
            for (int k = 0; k < VEC; ++k) {
                const float* old = trace[t - first][k];
                float m, over, spike = fire(s, decay[k], drive.v[k], old, &m, &over);
                float grad_s = fmaf(-fmaf(reset_m, m, reset_d), grad[k][0], g.v[k]);
#if ADAPTIVE
                grad_s = grad_s + grad[k][1];
#endif
                float e = exp2_of(min_with(58.0f, max_with(-58.0f, s.steepness * over)));
                float inverse = 1.0f / (1.0f + e);
                float grad_over = grad_s * ((s.alpha * e) * (inverse * inverse));
                float grad_m = fmaf(fmaf(-s.zeroing, spike, 1.0f), grad[k][0], grad_over);
                dx.v[k] = grad_m;
                sum[k] = fmaf(old[0], grad_m, sum[k]);
                grad[k][0] = decay[k] * grad_m;
#if ADAPTIVE
                grad[k][1] = fmaf(-s.strength, grad_over, s.rho * grad[k][1]);
#endif
            }
            store(grad_x, t * s.neurons + n, dx);
        }
    }
    for (int k = 0; k < VEC; ++k) {
        sums[n + k] = sum[k];
        for (int i = 0; i < STATES; ++i) grad_state[i * s.neurons + n + k] = grad[k][i];
    }
}
