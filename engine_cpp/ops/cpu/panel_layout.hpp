// Where a weight lies in a panel of 16 rows; kernels/kernels.hpp and kernels/simd.hpp describe the layouts.
#pragma once

#include <cstdint>
#include <type_traits>

#include "ops/cpu/convert.hpp"
#include "ops/cpu/kernels/kernels.hpp"
#include "qwen3/weights.hpp"

namespace qwen3::cpu {

constexpr int64_t bytes_of_panel(WeightType type, int64_t columns) {
    switch (type) {
        case WeightType::f32: return round_up(columns, 2) * kPanel * 4;
        case WeightType::f16:
        case WeightType::bf16: return round_up(columns, 2) * kPanel * 2;
        case WeightType::int8: return round_up(columns, kBlock) / kBlock * kInt8BlockBytes;
        case WeightType::int4: return round_up(columns, kBlock) / kBlock * kInt4BlockBytes;
    }
    return 0;
}

// Floats: element (row, k) of a panel.
template <class Packed>
constexpr int64_t offset_in_panel(int64_t row, int64_t k) {
    if constexpr (std::is_same_v<Packed, Bf16>) return k / 2 * 2 * kPanel + row * 2 + k % 2;
    return k * kPanel + row;
}

// Integers: byte of (row, k) in a group of 32; for int4 the one that k shares with k + 4 or k - 4.
constexpr int64_t offset_of_byte(int64_t row, int64_t k) { return k / 4 * 64 + row * 4 + k % 4; }
constexpr int64_t offset_of_pair(int64_t row, int64_t k) { return k / 8 * 64 + row * 4 + k % 4; }

}  // namespace qwen3::cpu
