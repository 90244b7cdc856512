// Products of integer weights and int8 activations, four k a lane: what differs between instruction sets.
//
// Int8 and Int4 have weights<Step>(), the operand of four k from the lines of a group, and sums that start() begins,
// add() extends and finish() turns into int32. `total` is the group's sum of activations: weights that are kept or
// multiplied with an offset take it back.
#pragma once

#include "ops/cpu/kernels/kernels.hpp"
#include "ops/cpu/kernels/simd.hpp"

namespace qwen3::cpu::QWEN3_KERNELS_ISA {

constexpr int kSteps = kGroup / 4;  // of four k, in a group

template <int Step>
static inline vi int8_weights(const char* group, int vector) {
    return load_int(group + Step * 64 + vector * kLanes * 4);
}
template <int Step>
static inline vi int4_weights(const char* group, int vector) {  // w + 8
    const vi pair = load_int(group + Step / 2 * 64 + vector * kLanes * 4);
    return (Step % 2 == 0 ? pair : pair >> 4) & 0x0f0f0f0f;
}

// sums + four products a lane; one side is unsigned where the instructions want it so.
#if defined(__AVX512VNNI__)

static inline vi dot(vi sums, vi u8, vi s8) {
    return reinterpret_cast<vi>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sums), reinterpret_cast<__m512i>(u8),
                                                    reinterpret_cast<__m512i>(s8)));
}
constexpr int32_t kInt8Offset = 128;

#elif defined(__AVX2__)

static inline __m256i raw(vi v) { return reinterpret_cast<__m256i>(v); }
static inline vi sum_pairs(__m256i pairs) {
    return reinterpret_cast<vi>(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
static inline vi dot(vi sums, vi u8, vi s8) {  // a pair's sum must fit 16 bits
    return sums + sum_pairs(_mm256_maddubs_epi16(raw(u8), raw(s8)));
}

#else

static inline vi dot(vi sums, vi a, vi b) {
    sums += ((a << 24) >> 24) * ((b << 24) >> 24);
    sums += ((a << 16) >> 24) * ((b << 16) >> 24);
    sums += ((a << 8) >> 24) * ((b << 8) >> 24);
    return sums + (a >> 24) * (b >> 24);
}
constexpr int32_t kInt8Offset = 0;

#endif

#if defined(__AVX2__) && !defined(__AVX512VNNI__)

struct Int8 {
    static constexpr int64_t kBlockBytes = kInt8BlockBytes;
    static constexpr int kStepsOfLine = 1;
    struct Operand {  // |w| meets x with w's sign: 2 * 127 * 127 fits 16 bits
        vi magnitude, sign;
    };
    template <int Step>
    static inline Operand weights(const char* group, int vector) {
        const vi w = int8_weights<Step>(group, vector);
        return {reinterpret_cast<vi>(_mm256_abs_epi8(raw(w))), w};
    }
    static inline vi start(int32_t) { return vi{}; }
    static inline vi add(vi sums, const Operand& w, vi x) {
        return dot(sums, w.magnitude, reinterpret_cast<vi>(_mm256_sign_epi8(raw(x), raw(w.sign))));
    }
    static inline vi finish(vi sums, int32_t) { return sums; }
};

struct Int4 {
    static constexpr int64_t kBlockBytes = kInt4BlockBytes;
    static constexpr int kStepsOfLine = 2;
    using Operand = vi;
    template <int Step>
    static inline Operand weights(const char* group, int vector) {
        return int4_weights<Step>(group, vector);
    }
    static inline vi start(int32_t) { return vi{}; }
    static inline vi add(vi sums, Operand w, vi x) {  // 16-bit sums of pairs: a group's are at most 8 * 2 * 15 * 127
        return reinterpret_cast<vi>(_mm256_add_epi16(raw(sums), _mm256_maddubs_epi16(raw(w), raw(x))));
    }
    static inline vi finish(vi sums, int32_t total) { return sum_pairs(raw(sums)) - (splat(total) << 3); }
};

#else

struct Int8 {
    static constexpr int64_t kBlockBytes = kInt8BlockBytes;
    static constexpr int kStepsOfLine = 1;
    using Operand = vi;
    template <int Step>
    static inline Operand weights(const char* group, int vector) {
        return int8_weights<Step>(group, vector) ^ static_cast<int32_t>(kInt8Offset * 0x01010101U);
    }
    static inline vi start(int32_t total) { return splat(total) * -kInt8Offset; }
    static inline vi add(vi sums, Operand w, vi x) { return dot(sums, w, x); }
    static inline vi finish(vi sums, int32_t) { return sums; }
};

struct Int4 {
    static constexpr int64_t kBlockBytes = kInt4BlockBytes;
    static constexpr int kStepsOfLine = 2;
    using Operand = vi;
    template <int Step>
    static inline Operand weights(const char* group, int vector) {
        return int4_weights<Step>(group, vector);
    }
    static inline vi start(int32_t total) { return splat(total) * -8; }
    static inline vi add(vi sums, Operand w, vi x) { return dot(sums, w, x); }
    static inline vi finish(vi sums, int32_t) { return sums; }
};

#endif

}  // namespace qwen3::cpu::QWEN3_KERNELS_ISA
