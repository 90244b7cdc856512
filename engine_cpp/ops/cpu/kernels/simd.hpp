// The few vector operations that the kernels need, at the width of the instruction set this file is compiled for.
// GCC / Clang vector extensions give the arithmetic; a multiply and an add contract to one FMA where there is one.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace qwen3::cpu::QWEN3_KERNELS_ISA {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

using vf = float __attribute__((vector_size(kLanes * 4)));
using vi = int32_t __attribute__((vector_size(kLanes * 4)));
using vu = uint32_t __attribute__((vector_size(kLanes * 4)));
using vh = uint16_t __attribute__((vector_size(kLanes * 2)));
using vb = int8_t __attribute__((vector_size(kLanes)));

static inline vf load(const float* p) {
    vf v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
static inline void store(float* p, vf v) { std::memcpy(p, &v, sizeof v); }
static inline vf splat(float x) { return x - vf{}; }  // unlike x + 0 exact, and free, for -0 too
static inline vf as_float(vu v) { return reinterpret_cast<vf>(v); }
static inline vf as_float(vi v) { return reinterpret_cast<vf>(v); }
static inline vf select(vi mask, vf a, vf b) { return mask ? a : b; }
static inline vf max(vf a, vf b) { return select(a > b, a, b); }
static inline vf abs(vf v) { return as_float(reinterpret_cast<vu>(v) & 0x7fffffffU); }
static inline vi load_int(const void* p) {
    vi v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
static inline vi splat(int32_t x) { return x - vi{}; }
static inline vf to_float(vi v) { return __builtin_convertvector(v, vf); }
// To the nearest integer, ties to even, for |x| < 2^22: adding 1.5 * 2^23 leaves it in the low bits.
static inline vf round(vf x) {
    const vf magic = splat(12582912.0F);
    return x + magic - magic;
}

// Horizontal results, pairwise from the outside in: one order for every call.
static inline float sum(vf v) {
    float lane[kLanes];
    store(lane, v);
    for (int n = kLanes / 2; n > 0; n /= 2)
        for (int i = 0; i < n; ++i) lane[i] += lane[i + n];
    return lane[0];
}
static inline float max(vf v) {
    float lane[kLanes];
    store(lane, v);
    float best = lane[0];
    for (int i = 1; i < kLanes; ++i) best = lane[i] > best ? lane[i] : best;
    return best;
}

// Keeps the compiler from knowing what is in a register, and so from moving a sum's terms about: g++ 12 computes the
// products of a whole tile first, or spills what a loop carries.
template <class V>
static inline void opaque(V& v) {
#if defined(__x86_64__)
    asm("" : "+v"(v));
#elif defined(__aarch64__)
    asm("" : "+w"(v));
#else
    asm("" : "+m"(v));
#endif
}

// exp(x): range reduction to [-ln2/2, ln2/2], polynomial of degree 6 (Cephes expf), about 1 ulp.
// Below -87 exactly 0, so that masked positions vanish; above 88 clamped.
static inline vf exp(vf x) {
    const vf log2e = splat(1.44269504088896341F);
    const vf ln2_high = splat(0.693359375F), ln2_low = splat(-2.12194440e-4F);
    const vi tiny = x < splat(-87.0F);
    vf clamped = select(x > splat(88.0F), splat(88.0F), x);
    clamped = select(tiny, splat(0.0F), clamped);
    const vf magic = splat(12582912.0F);  // 1.5 * 2^23: adding it rounds to an integer
    const vf shifted = clamped * log2e + magic;
    const vf n = shifted - magic;
    vf r = clamped - n * ln2_high;
    r = r - n * ln2_low;
    vf p = splat(1.9875691500e-4F);
    p = p * r + splat(1.3981999507e-3F);
    p = p * r + splat(8.3334519073e-3F);
    p = p * r + splat(4.1665795894e-2F);
    p = p * r + splat(1.6666665459e-1F);
    p = p * r + splat(5.0000001201e-1F);
    p = p * r * r + r + splat(1.0F);
    const vi exponent = (__builtin_convertvector(n, vi) + 127) << 23;
    return select(tiny, splat(0.0F), p * as_float(exponent));
}

// Weights of kLanes rows at one k of a pair (k, k + 1). Layouts of a panel (16 rows, k ascending):
//   f32, f16: [k][16];  bf16: [k / 2][16][2], so that a shift or a mask widens.
struct bf16 {
    uint16_t bits;
};
struct f16 {
    uint16_t bits;
};

template <int Half>
static inline vf load_half(const float* pair, int lane) {
    return load(pair + Half * 16 + lane);
}

template <int Half>
static inline vf load_half(const bf16* pair, int lane) {
    vu v;
    std::memcpy(&v, pair + 2 * lane, sizeof v);
    return Half == 0 ? as_float(v << 16) : as_float(v & 0xffff0000U);
}

template <int Half>
static inline vf load_half(const f16* pair, int lane) {
    const f16* p = pair + Half * 16 + lane;
#if defined(__AVX512F__)
    return reinterpret_cast<vf>(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#elif defined(__F16C__)
    return reinterpret_cast<vf>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#else
    // Exponent and mantissa moved into place, then scaled by 2^112: exact, subnormals included.
    vh h;
    std::memcpy(&h, p, sizeof h);
    const vu wide = __builtin_convertvector(h, vu);
    const vf magnitude = as_float((wide & 0x7fffU) << 13) * splat(5.192296858534828e33F);
    return as_float(reinterpret_cast<vu>(magnitude) | ((wide & 0x8000U) << 16));
#endif
}

static inline uint16_t to_bf16(float x) {  // round to nearest, ties to even
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<uint16_t>((bits >> 16) | 0x40U);  // NaN stays NaN
    return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

}  // namespace qwen3::cpu::QWEN3_KERNELS_ISA
