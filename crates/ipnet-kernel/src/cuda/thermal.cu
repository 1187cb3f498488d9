// The step law over [T, N] in one launch, compiled at run time by NVRTC.
//
// A thread owns VEC neighbouring neurons through all of time: state in registers, one vector load and one vector
// store a step. It rounds as the CPU's lanes do (common.cu), forward and backward, and draws the same spikes.
//
// Set by the host: POLES (1..3), KIND (0: b = 1, 1: b = 2, 2: any b, 3: table, 4: b = 1, constant barrier, linear V_c, no
// own heat), SAMPLED, SPREAD, RESET (0 or 1),
// VEC (1 or 4), BF16 (0 or 1: how x, out and their gradients are stored), SEGMENT (steps between checkpoints).

struct Scan {
    u64 steps, neurons, channels, inner, step_offset;
    u32 seed[2], device_seed[2];
    u32 layer, neuron_offset;
    float v_max, self_heat;
    float decay[3], heat[3], reset[3];
    float log_attempts, barrier[3], v_critical[3], inv_t_amb, exponent;
    float sigma_v, sigma_heat, sigma_barrier, sigma_cycle;
    float table_first[2], table_per_unit[2];
    u32 table_last_cell[2], table_columns, padding;
};

#if BF16
typedef unsigned short stored;
__device__ inline float widen(stored v) { return __uint_as_float((u32)v << 16); }
__device__ inline stored narrow(float v) {
    u32 bits = __float_as_uint(v);
    if (v != v) return (stored)((bits >> 16) | 0x40);
    return (stored)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
#else
typedef float stored;
__device__ inline float widen(stored v) { return v; }
__device__ inline stored narrow(float v) { return v; }
#endif

struct __align__(sizeof(stored) * VEC) Pack { stored v[VEC]; };

__device__ inline void load(const stored* from, u64 at, float* to) {
    Pack pack = *(const Pack*)(from + at);
    for (int k = 0; k < VEC; ++k) to[k] = widen(pack.v[k]);
}
__device__ inline void store(stored* to, u64 at, const float* from) {
    Pack pack;
    for (int k = 0; k < VEC; ++k) pack.v[k] = narrow(from[k]);
    *(Pack*)(to + at) = pack;
}

// 1 - 2^-x, x in [0, 126].
__device__ inline float one_minus_exp2_neg(float x) {
    float shifted = SHIFT - x;
    float g = x + (shifted - SHIFT);
    float poly = fmaf(fmaf(0.05550411f, g, -0.24023356f), g, 0.6931472f);
    float scale = pow2_of_shifted(shifted);
    return fmaf(scale * g, poly, 1.0f - scale);
}

__device__ inline float log_of(float x) {
    u32 bits = __float_as_uint(x);
    int exponent = (int)(bits - 0x3f3504f3u) >> 23;
    float f = __uint_as_float(bits - ((u32)exponent << 23)) - 1.0f;
    float e = (float)exponent;
    const float k[8] = {-0.11479734f, 0.1168542f, -0.12425687f, 0.14249058f,
                        -0.16667803f, 0.20000716f, -0.24999997f, 0.3333333f};
    float poly = 0.06971612f;
    for (int i = 0; i < 8; ++i) poly = fmaf(poly, f, k[i]);
    float f2 = f * f;
    float tail = fmaf(f * f2, poly, e * -2.1219444e-4f);
    return fmaf(e, 0.693359375f, f + fmaf(f2, -0.5f, tail));
}

__device__ inline void sin_cos_turns(float turns, float* sin, float* cos) {
    float quarter = ((turns < 0.125f ? 0.0f : 0.25f) + (turns < 0.375f ? 0.0f : 0.25f)) +
                    ((turns < 0.625f ? 0.0f : 0.25f) + (turns < 0.875f ? 0.0f : 0.25f));
    float f = turns - quarter, g = f * f;
    float sine = -15.09464257682299f;
    sine = fmaf(sine, g, 42.05869394489765f);
    sine = fmaf(sine, g, -76.70585975306139f);
    sine = fmaf(sine, g, 81.60524927607505f);
    sine = fmaf(sine, g, -41.341702240399755f);
    sine = f * fmaf(sine, g, 6.283185307179586f);
    float cosine = -26.4262567833744f;
    cosine = fmaf(cosine, g, 60.24464137187666f);
    cosine = fmaf(cosine, g, -85.45681720669373f);
    cosine = fmaf(cosine, g, 64.93939402266829f);
    cosine = fmaf(cosine, g, -19.739208802178716f);
    cosine = fmaf(cosine, g, 1.0f);
    bool odd = quarter == 0.25f || quarter == 0.75f;
    float s = odd ? cosine : sine, c = odd ? sine : cosine;
    *sin = quarter < 0.375f ? s : (quarter < 0.875f ? -s : s);
    *cos = quarter < 0.125f ? c : (quarter < 0.625f ? -c : c);
}

__device__ inline void philox(u32 neuron, u32 purpose, u32 step_block, u32 layer, const u32* seed, u32* c) {
    c[0] = neuron; c[1] = purpose; c[2] = step_block; c[3] = layer;
    u32 k0 = seed[0], k1 = seed[1];
    for (int round = 0; round < 10; ++round) {
        u32 h0 = __umulhi(0xD2511F53u, c[0]), l0 = 0xD2511F53u * c[0];
        u32 h1 = __umulhi(0xCD9E8D57u, c[2]), l1 = 0xCD9E8D57u * c[2];
        c[0] = h1 ^ c[1] ^ k0; c[1] = l1; c[2] = h0 ^ c[3] ^ k1; c[3] = l0;
        k0 += 0x9E3779B9u; k1 += 0xBB67AE85u;
    }
}

__device__ inline float unit(u32 word) { return (float)(word >> 8) * (1.0f / 16777216.0f); }

__device__ inline void normals(const u32* words, float* z) {
    for (int pair = 0; pair < 2; ++pair) {
        float radius = sqrtf(max_with(-2.0f * log_of(1.0f - unit(words[2 * pair])), 0.0f));
        float sin, cos;
        sin_cos_turns(unit(words[2 * pair + 1]), &sin, &cos);
        z[2 * pair] = radius * cos;
        z[2 * pair + 1] = radius * sin;
    }
}

__device__ inline float relative(float sigma, float z) {
    z = z > 3.0f ? 3.0f : (z < -3.0f ? -3.0f : z);
    float value = 1.0f + sigma * z;
    return value < 0.1f ? 0.1f : value;
}

// One neuron: its synapse, its device, its draws.
struct Neuron {
    float gain, bias, v_critical, sensitivity, heating, barrier;
    u32 number;
    float noise[4];
    u64 noise_block;
};

__device__ inline Neuron neuron_at(const Scan& s, u64 n, const float* gain, const float* bias) {
    Neuron neuron;
    u64 channel = n / s.inner % s.channels;
    neuron.gain = gain[channel];
    neuron.bias = bias[channel];
    neuron.number = s.neuron_offset + (u32)n;
    neuron.v_critical = neuron.sensitivity = neuron.heating = neuron.barrier = 1.0f;
    neuron.noise_block = ~0ull;
#if SPREAD
    u32 words[4];
    float z[4];
    philox((u32)(n % (s.channels * s.inner)), 2u, 0u, s.layer, s.device_seed, words);
    normals(words, z);
    neuron.v_critical = relative(s.sigma_v, z[0]);
    neuron.heating = relative(s.sigma_heat, z[1]);
    neuron.barrier = relative(s.sigma_barrier, z[2]);
    neuron.sensitivity = 1.0f / neuron.v_critical;
#endif
    return neuron;
}

__device__ inline void set_step(const Scan& s, Neuron& neuron, u64 t) {
#if SPREAD
    if (s.sigma_cycle == 0.0f) return;
    u64 step = s.step_offset + t;
    if (neuron.noise_block != step / 4) {
        u32 words[4];
        philox(neuron.number, 1u, (u32)(step / 4), s.layer, s.seed, words);
        normals(words, neuron.noise);
        neuron.noise_block = step / 4;
    }
    u32 word = (u32)(step % 4);
    float z = word == 0 ? neuron.noise[0] : word == 1 ? neuron.noise[1] : word == 2 ? neuron.noise[2] : neuron.noise[3];
    neuron.sensitivity = 1.0f / (neuron.v_critical * relative(s.sigma_cycle, z));
#endif
}

#if KIND == 3
__device__ inline void look_up(const Scan& s, const float* table, float u, float rise, float* value) {
    double inside[2], slope[2];
    u32 index[2];
    const float at[2] = {u, rise};
    for (int axis = 0; axis < 2; ++axis) {
        double place = (double)((at[axis] - s.table_first[axis]) * s.table_per_unit[axis]);
        double last = (double)(s.table_last_cell[axis] + 1);
        double kept = place < 0.0 ? 0.0 : (place > last ? last : place);
        u32 cell = place != place ? 0u : (u32)kept;
        index[axis] = cell < s.table_last_cell[axis] ? cell : s.table_last_cell[axis];
        inside[axis] = kept - (double)index[axis];
        slope[axis] = place == kept ? (double)s.table_per_unit[axis] : 0.0;
    }
    float fc = (float)inside[0], fr = (float)inside[1];
    const float* corner = table + (u64)index[1] * s.table_columns + index[0];
    float a = corner[0], b = corner[1], c = corner[s.table_columns], d = corner[s.table_columns + 1];
    float low = a + fc * (b - a), high = c + fc * (d - c);
    float across = (b - a) + fr * ((d - c) - (b - a));
    value[0] = low + fr * (high - low);
    value[1] = across * (float)slope[0];
    value[2] = (high - low) * (float)slope[1];
}
#endif

__device__ inline void general_power(float f, float exponent, float* fb, float* fb1) {
    float safe = max_with(1e-30f, f);
    *fb = exp2_of(max_with(-125.0f, (exponent * 1.44269504f) * log_of(safe)));
    *fb1 = exponent * (*fb / safe);
}

// w (p of a table), d/du, d/drise at amplitude u as the junction feels it.
__device__ inline void rate(const Scan& s, const float* table, float u, float rise, float scale, float* value, bool slopes) {
#if KIND == 3
    look_up(s, table, u, rise, value);
#elif KIND == 4
    float v = fmaf(s.v_critical[1], rise, s.v_critical[0]);
    float d = fmaf(rise, s.inv_t_amb, 1.0f);
    float m = max_with(0.0f, v - u), a = s.barrier[0] * scale;
    if (!slopes) {
        value[0] = fmaf(-m, a / (d * v), s.log_attempts);
        return;
    }
    float inverse = 1.0f / (d * v), k = a * inverse, v1 = s.v_critical[1];
    float open = 0.0f < m ? k : 0.0f;
    float curvature = s.inv_t_amb * v1;
    float product_slope = fmaf(curvature + curvature, rise, fmaf(s.inv_t_amb, s.v_critical[0], v1));
    value[0] = fmaf(-m, k, s.log_attempts);
    value[1] = open;
    value[2] = fmaf(m * k, product_slope * inverse, -(open * v1));
#else
    float a = fmaf(fmaf(s.barrier[2], rise, s.barrier[1]), rise, s.barrier[0]) * scale;
    float v = fmaf(fmaf(s.v_critical[2], rise, s.v_critical[1]), rise, s.v_critical[0]);
    float d = fmaf(rise, s.inv_t_amb, 1.0f);
    float m = max_with(0.0f, v - u);
    float k = 1.0f / (d * v);
    float a1 = fmaf(s.barrier[2] + s.barrier[2], rise, s.barrier[1]) * scale;
    float v1 = fmaf(s.v_critical[2] + s.v_critical[2], rise, s.v_critical[1]);
    float d1 = s.inv_t_amb;
#if KIND == 0
    float am = a * m;
    value[0] = fmaf(-am, k, s.log_attempts);
    if (!slopes) return;
    float open = 0.0f < m ? a : 0.0f;
    float e = am * k;
    float numerator = fmaf(a1, m, open * v1);
    value[1] = open * k;
    value[2] = k * fmaf(fmaf(d1, v, d * v1), e, -numerator);
#else
    float inv_v = k * d, inv_d = k * v, f = m * inv_v, delta = a * inv_d, fb, fb1;
#if KIND == 1
    fb = f * f;
    fb1 = f + f;
#else
    general_power(f, s.exponent, &fb, &fb1);
#endif
    value[0] = fmaf(-delta, fb, s.log_attempts);
    if (!slopes) return;
    float e_f = 0.0f < m ? delta * fb1 : 0.0f;
    float delta_rise = inv_d * fmaf(-delta, d1, a1);
    float f_rise = (u * inv_v) * (v1 * inv_v);
    value[1] = e_f * inv_v;
    value[2] = -fmaf(delta_rise, fb, e_f * f_rise);
#endif
#endif
}

__device__ inline float in_range(float w) { return min_with(6.87f, max_with(-125.0f, w)); }

__device__ inline float probability(float w) {
#if KIND == 3
    return w;
#else
    return one_minus_exp2_neg(exp2_of(in_range(w)));
#endif
}

// dp/dw = ln(2)^2 2^w 2^-(2^w).
__device__ inline float rate_slope(float w) {
#if KIND == 3
    return 1.0f;
#else
    float rate = exp2_of(in_range(w));
    return rate * exp2_of(-1.0575328f - rate);
#endif
}

__device__ inline float pulse(const Scan& s, const Neuron& neuron, float x) {
    return min_with(s.v_max, max_with(0.0f, fmaf(x, neuron.gain, neuron.bias)));
}

__device__ inline void next_heat(const Scan& s, const Neuron& neuron, float u, float fired, float* heat) {
    float power = u * u;
#if SPREAD
    power = power * neuron.heating;
    fired = fired * neuron.heating;
#endif
    for (int i = 0; i < POLES; ++i) {
        float warm = fmaf(s.heat[i], power, heat[i]);
#if RESET
        warm = fmaf(s.reset[i], fired, warm);
#endif
        heat[i] = warm * s.decay[i];
    }
}

__device__ inline float rise_of(const Scan& s, const Neuron& neuron, float u, const float* heat) {
    float power = u * u;
#if SPREAD
    power = power * neuron.heating;
#endif
    float rise = fmaf(power, s.self_heat, heat[0]);
    for (int i = 1; i < POLES; ++i) rise = rise + heat[i];
    return rise;
}

// heat0 and heat1 are [P, N]; heat0 may be null.
extern "C" __global__ void thermal_forward(const Scan s, const stored* __restrict__ x, const float* __restrict__ gain,
                                           const float* __restrict__ bias, const float* __restrict__ table,
                                           const float* __restrict__ heat0, stored* __restrict__ out,
                                           float* __restrict__ heat1) {
    u64 n = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * VEC;
    if (n >= s.neurons) return;
    Neuron neuron[VEC];
    float heat[VEC][POLES];
#if SAMPLED
    u32 words[VEC][4];
#endif
    for (int k = 0; k < VEC; ++k) {
        neuron[k] = neuron_at(s, n + k, gain, bias);
        for (int i = 0; i < POLES; ++i) heat[k][i] = heat0 ? heat0[i * s.neurons + n + k] : 0.0f;
    }
    for (u64 t = 0; t < s.steps; ++t) {
        float drive[VEC], y[VEC];
        load(x, t * s.neurons + n, drive);
        for (int k = 0; k < VEC; ++k) {
            set_step(s, neuron[k], t);
            float u = pulse(s, neuron[k], drive[k]), value[3];
            float rise = rise_of(s, neuron[k], u, heat[k]);
            rate(s, table, SPREAD ? u * neuron[k].sensitivity : u, rise, neuron[k].barrier, value, false);
            float p = probability(value[0]);
#if SAMPLED
            u64 step = s.step_offset + t;
            u32 word = (u32)(step % 4);
            if (t == 0 || word == 0) philox(neuron[k].number, 0u, (u32)(step / 4), s.layer, s.seed, words[k]);
            u32 drawn = word == 0 ? words[k][0] : word == 1 ? words[k][1] : word == 2 ? words[k][2] : words[k][3];
            y[k] = unit(drawn) < p ? 1.0f : 0.0f * p;
#else
            y[k] = p;
#endif
            // What is stored is what backward reads back: the heat follows that.
            next_heat(s, neuron[k], u, widen(narrow(y[k])), heat[k]);
        }
        store(out, t * s.neurons + n, y);
    }
    for (int k = 0; k < VEC; ++k)
        for (int i = 0; i < POLES; ++i) heat1[i * s.neurons + n + k] = heat[k][i];
}

// checkpoints is [ceil(T / SEGMENT), P, N] of scratch; grad_heat is [P, N], given and wanted; sums is [2, N].
extern "C" __global__ void thermal_backward(const Scan s, const stored* __restrict__ x, const float* __restrict__ gain,
                                            const float* __restrict__ bias, const float* __restrict__ table,
                                            const float* __restrict__ heat0, const stored* __restrict__ out,
                                            const stored* __restrict__ grad_out, float* __restrict__ checkpoints,
                                            stored* __restrict__ grad_x, float* __restrict__ grad_heat,
                                            float* __restrict__ sums) {
    u64 n = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * VEC;
    if (n >= s.neurons) return;
    u64 segments = (s.steps + SEGMENT - 1) / SEGMENT;
    Neuron neuron[VEC];
    float heat[VEC][POLES], grad[VEC][POLES], gain_sum[VEC], bias_sum[VEC];
    for (int k = 0; k < VEC; ++k) {
        neuron[k] = neuron_at(s, n + k, gain, bias);
        gain_sum[k] = bias_sum[k] = 0.0f;
        for (int i = 0; i < POLES; ++i) {
            heat[k][i] = heat0 ? heat0[i * s.neurons + n + k] : 0.0f;
            grad[k][i] = grad_heat[i * s.neurons + n + k];
        }
    }
    for (u64 segment = 0; segment < segments; ++segment) {
        for (int k = 0; k < VEC; ++k)
            for (int i = 0; i < POLES; ++i) checkpoints[(segment * POLES + i) * s.neurons + n + k] = heat[k][i];
        if (segment + 1 == segments) break;
        for (u64 t = segment * SEGMENT; t < (segment + 1) * SEGMENT; ++t) {
            float drive[VEC], fired[VEC];
            load(x, t * s.neurons + n, drive);
#if RESET
            load(out, t * s.neurons + n, fired);
#endif
            for (int k = 0; k < VEC; ++k)
                next_heat(s, neuron[k], pulse(s, neuron[k], drive[k]), RESET ? fired[k] : 0.0f, heat[k]);
        }
    }
    for (u64 segment = segments; segment-- > 0;) {
        u64 first = segment * SEGMENT, last = first + SEGMENT < s.steps ? first + SEGMENT : s.steps;
        float trace[SEGMENT][VEC][POLES];
        for (int k = 0; k < VEC; ++k)
            for (int i = 0; i < POLES; ++i) heat[k][i] = checkpoints[(segment * POLES + i) * s.neurons + n + k];
        for (u64 t = first; t < last; ++t) {
            float drive[VEC], fired[VEC];
            for (int k = 0; k < VEC; ++k)
                for (int i = 0; i < POLES; ++i) trace[t - first][k][i] = heat[k][i];
            if (t + 1 == last) break;
            load(x, t * s.neurons + n, drive);
#if RESET
            load(out, t * s.neurons + n, fired);
#endif
            for (int k = 0; k < VEC; ++k)
                next_heat(s, neuron[k], pulse(s, neuron[k], drive[k]), RESET ? fired[k] : 0.0f, heat[k]);
        }
        for (u64 t = last; t-- > first;) {
            float drive[VEC], g[VEC], dx[VEC];
            load(x, t * s.neurons + n, drive);
            load(grad_out, t * s.neurons + n, g);
            for (int k = 0; k < VEC; ++k) {
                set_step(s, neuron[k], t);
                float along = fmaf(drive[k], neuron[k].gain, neuron[k].bias);
                float u = min_with(s.v_max, max_with(0.0f, along)), value[3];
                float rise = rise_of(s, neuron[k], u, trace[t - first][k]);
                rate(s, table, SPREAD ? u * neuron[k].sensitivity : u, rise, neuron[k].barrier, value, true);
                if (SPREAD) value[1] = value[1] * neuron[k].sensitivity;
                float adjoint[POLES], by_heat = 0.0f, by_reset = 0.0f;
                for (int i = 0; i < POLES; ++i) {
                    adjoint[i] = grad[k][i] * s.decay[i];
                    by_heat = fmaf(s.heat[i] + s.heat[i], adjoint[i], by_heat);
                    by_reset = fmaf(s.reset[i], adjoint[i], by_reset);
                }
                if (SPREAD) by_reset = by_reset * neuron[k].heating;
                float grad_p = g[k] + by_reset;
                // As the CPU, which keeps the slopes of p: the same bits.
                float slope = rate_slope(value[0]);
                float grad_rise = grad_p * (value[2] * slope);
                for (int i = 0; i < POLES; ++i) grad[k][i] = adjoint[i] + grad_rise;
                float power = fmaf(s.self_heat + s.self_heat, grad_rise, by_heat);
                if (SPREAD) power = power * neuron[k].heating;
                float grad_u = fmaf(u, power, grad_p * (value[1] * slope));
                bool clamped = along < u || u < along;
                float inside = clamped ? 0.0f : grad_u;
                dx[k] = neuron[k].gain * inside;
                // At a clamped place the drive does not count, not even an infinite one.
                gain_sum[k] = fmaf(clamped ? 0.0f : drive[k], inside, gain_sum[k]);
                bias_sum[k] = inside + bias_sum[k];
            }
            store(grad_x, t * s.neurons + n, dx);
        }
    }
    for (int k = 0; k < VEC; ++k) {
        sums[n + k] = gain_sum[k];
        sums[s.neurons + n + k] = bias_sum[k];
        for (int i = 0; i < POLES; ++i) grad_heat[i * s.neurons + n + k] = grad[k][i];
    }
}
