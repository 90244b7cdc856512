// Scalar conversions between the float types of checkpoints, correctly rounded.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace qwen3::cpu {

struct F16 {
    uint16_t bits;
};
struct Bf16 {
    uint16_t bits;
};

inline float to_f32(float x) { return x; }
inline float to_f32(Bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }
inline float to_f32(F16 x) {
    const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000U) << 16;
    const uint32_t magnitude = static_cast<uint32_t>(x.bits & 0x7fffU) << 13;
    if (magnitude >= 0x0f800000U) return std::bit_cast<float>(sign | 0x70000000U | magnitude);  // infinity, NaN
    const float scaled = std::bit_cast<float>(magnitude) * 0x1p112F;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(scaled));
}

inline Bf16 to_bf16(float x) {  // round to nearest, ties to even
    const auto bits = std::bit_cast<uint32_t>(x);
    if ((bits & 0x7fffffffU) > 0x7f800000U) return {static_cast<uint16_t>((bits >> 16) | 0x40U)};  // NaN stays NaN
    return {static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16)};
}

inline F16 to_f16(float x) {  // round to nearest, ties to even
    const auto bits = std::bit_cast<uint32_t>(x);
    const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
    const uint32_t magnitude = bits & 0x7fffffffU;
    if (magnitude > 0x7f800000U) return {static_cast<uint16_t>(sign | 0x7e00U)};   // NaN
    if (magnitude >= 0x47800000U) return {static_cast<uint16_t>(sign | 0x7c00U)};  // 65536 and above
    if (magnitude < 0x38800000U) {  // subnormal in f16: let the adder round at 2^-24
        const float rounded = std::bit_cast<float>(magnitude) + 0.5F;
        return {static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(rounded) - 0x3f000000U))};
    }
    const uint32_t rebased = magnitude - 0x38000000U;
    return {static_cast<uint16_t>(sign | ((rebased + 0x0fffU + ((rebased >> 13) & 1U)) >> 13))};
}

// Element `index` of an array at any address: a checkpoint's tensors need not be aligned.
template <class T>
T read(const std::byte* array, int64_t index) {
    T value;
    std::memcpy(&value, array + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
    return value;
}

template <class To, class From>
To convert(From x) {
    if constexpr (std::is_same_v<To, From>)
        return x;  // as the file has it, NaN bits included
    else if constexpr (std::is_same_v<To, float>)
        return to_f32(x);
    else if constexpr (std::is_same_v<To, Bf16>)
        return to_bf16(to_f32(x));
    else
        return to_f16(to_f32(x));
}

}  // namespace qwen3::cpu
