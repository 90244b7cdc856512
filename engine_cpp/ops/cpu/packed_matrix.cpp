#include "ops/cpu/packed_matrix.hpp"

#include <algorithm>

#include "ops/cpu/convert.hpp"

namespace qwen3::cpu {
namespace {

// Element (row, k) of a panel; see kernels/simd.hpp for the two layouts.
template <class Packed>
int64_t offset_in_panel(int64_t row, int64_t k) {
    if constexpr (std::is_same_v<Packed, Bf16>) return k / 2 * 2 * kPanel + row * 2 + k % 2;
    return k * kPanel + row;
}

template <class Source, class Packed>
void pack_panel(const std::byte* source, int64_t source_columns, const Slice& slice, int64_t panel, std::byte* out) {
    auto* packed = reinterpret_cast<Packed*>(out);
    const int64_t first = slice.rows.begin + panel * kPanel;
    const int64_t rows = std::min(kPanel, slice.rows.end - first);
    const int64_t columns = slice.columns.size();
    constexpr int64_t kBlock = 64;  // columns of 16 rows that stay in L1 while they are interleaved
    for (int64_t begin = 0; begin < columns; begin += kBlock) {
        const int64_t end = std::min(columns, begin + kBlock);
        for (int64_t r = 0; r < rows; ++r) {
            const int64_t row = (first + r) * source_columns + slice.columns.begin;
            for (int64_t k = begin; k < end; ++k)
                packed[offset_in_panel<Packed>(r, k)] = convert<Packed>(read<Source>(source, row + k));
        }
    }
}

using PackFn = void (*)(const std::byte*, int64_t, const Slice&, int64_t, std::byte*);

template <class Source>
PackFn pack_to(DType dtype) {
    switch (dtype) {
        case DType::f32: return pack_panel<Source, float>;
        case DType::f16: return pack_panel<Source, F16>;
        case DType::bf16: return pack_panel<Source, Bf16>;
    }
    return nullptr;
}

PackFn pack_function(DType source, DType packed) {
    switch (source) {
        case DType::f32: return pack_to<float>(packed);
        case DType::f16: return pack_to<F16>(packed);
        case DType::bf16: return pack_to<Bf16>(packed);
    }
    return nullptr;
}

template <class Packed>
void widen_row(const std::byte* panel, int64_t row, int64_t columns, float* out) {
    const auto* packed = reinterpret_cast<const Packed*>(panel);
    for (int64_t k = 0; k < columns; ++k) out[k] = convert<float>(packed[offset_in_panel<Packed>(row, k)]);
}

}  // namespace

PackedMatrix::PackedMatrix(const TensorView& weight, const Slice& slice, DType dtype, ThreadPool& pool)
    : rows_(slice.rows.size()),
      columns_(slice.columns.size()),
      panel_bytes_(round_up(columns_, 2) * kPanel * static_cast<int64_t>(size_of(dtype))),
      dtype_(dtype),
      block_(static_cast<size_t>(panels() * panel_bytes_), "weights") {
    const PackFn pack = pack_function(weight.dtype, dtype);
    pool.run([&](int thread) {  // the same panels that this thread will read in every step: it touches them first
        const Range mine = split(panels(), 1, thread, pool.threads());
        for (int64_t p = mine.begin; p < mine.end; ++p)
            pack(weight.data, weight.shape.back(), slice, p, block_.data() + p * panel_bytes_);
    });
}

void PackedMatrix::read_row(int64_t row, float* out) const {
    const std::byte* from = panel(row / kPanel);
    switch (dtype_) {
        case DType::f32: return widen_row<float>(from, row % kPanel, columns_, out);
        case DType::f16: return widen_row<F16>(from, row % kPanel, columns_, out);
        case DType::bf16: return widen_row<Bf16>(from, row % kPanel, columns_, out);
    }
}

}  // namespace qwen3::cpu
