#include "ops/cpu/packed_matrix.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "decode/reader.hpp"
#include "ops/cpu/convert.hpp"
#include "ops/cpu/decoded_panel.hpp"
#include "ops/cpu/panel_layout.hpp"

namespace qwen3::cpu {
namespace {

// ---- floats ----

template <class Source, class Packed>
void pack_panel(const std::byte* source, int64_t source_columns, const Slice& slice, int64_t panel, std::byte* out) {
    auto* packed = reinterpret_cast<Packed*>(out);
    const int64_t first = slice.rows.begin + panel * kPanel;
    const int64_t rows = std::min(kPanel, slice.rows.end - first);
    const int64_t columns = slice.columns.size();
    constexpr int64_t kTile = 64;  // columns of 16 rows that stay in L1 while they are interleaved
    for (int64_t begin = 0; begin < columns; begin += kTile) {
        const int64_t end = std::min(columns, begin + kTile);
        for (int64_t r = 0; r < rows; ++r) {
            const int64_t row = (first + r) * source_columns + slice.columns.begin;
            int64_t k = begin;
            if constexpr (std::is_same_v<Source, Bf16> && std::is_same_v<Packed, Bf16>)
                for (; k + 2 <= end; k += 2)  // a pair lies side by side on both sides
                    std::memcpy(packed + offset_in_panel<Packed>(r, k), source + (row + k) * 2, 4);
            for (; k < end; ++k) packed[offset_in_panel<Packed>(r, k)] = convert<Packed>(read<Source>(source, row + k));
        }
    }
}

template <class Packed>
void widen_row(const std::byte* panel, int64_t row, int64_t columns, float* out) {
    const auto* packed = reinterpret_cast<const Packed*>(panel);
    for (int64_t k = 0; k < columns; ++k) out[k] = convert<float>(packed[offset_in_panel<Packed>(row, k)]);
}

// ---- integers: block by block, widened and transposed so that the kernel has a row in every lane ----

template <class Source>
void quantize_panel(const std::byte* source, int64_t source_columns, const Slice& slice, int64_t panel,
                    void (*quantize)(const float*, void*), int64_t block_bytes, std::byte* out) {
    const int64_t first = slice.rows.begin + panel * kPanel;
    const int64_t rows = std::min(kPanel, slice.rows.end - first);
    const int64_t columns = slice.columns.size();
    alignas(64) std::array<float, kBlock * kPanel> block{};
    for (int64_t begin = 0; begin < columns; begin += kBlock, out += block_bytes) {
        const int64_t width = std::min(kBlock, columns - begin);
        if (width < kBlock) block.fill(0.0F);
        for (int64_t r = 0; r < rows; ++r) {
            const int64_t row = (first + r) * source_columns + slice.columns.begin + begin;
            for (int64_t k = 0; k < width; ++k)
                block[static_cast<size_t>(k * kPanel + r)] = convert<float>(read<Source>(source, row + k));
        }
        quantize(block.data(), out);
    }
}

template <bool kFourBits>
void widen_quantized_row(const std::byte* panel, int64_t row, int64_t columns, float* out) {
    constexpr int64_t kBytes = kFourBits ? kInt4BlockBytes : kInt8BlockBytes;
    constexpr int64_t kGroupBytes = (kBytes - kScaleBytes) / 2;
    for (int64_t k = 0; k < columns; ++k) {
        const std::byte* block = panel + k / kBlock * kBytes;
        const int64_t half = k % kBlock / kGroup, i = k % kGroup;
        const std::byte* group = block + kScaleBytes + half * kGroupBytes;
        const float scale = to_f32(read<Bf16>(block, row * 2 + half));
        if constexpr (kFourBits) {
            const auto pair = std::to_integer<int>(group[offset_of_pair(row, i)]);
            out[k] = scale * static_cast<float>((i % 8 < 4 ? pair & 15 : pair >> 4) - 8);
        } else {
            out[k] = scale * static_cast<float>(read<int8_t>(group, offset_of_byte(row, i)));
        }
    }
}

template <class Source>
void fill_panel(const TensorView& weight, const Slice& slice, WeightType type, const Kernels& kernels, int64_t panel,
                std::byte* out) {
    const std::byte* source = weight.data;
    const int64_t columns = weight.shape.back();
    switch (type) {
        case WeightType::f32: return pack_panel<Source, float>(source, columns, slice, panel, out);
        case WeightType::f16: return pack_panel<Source, F16>(source, columns, slice, panel, out);
        case WeightType::bf16: return pack_panel<Source, Bf16>(source, columns, slice, panel, out);
        case WeightType::int8:
            return quantize_panel<Source>(source, columns, slice, panel, kernels.quantize_int8, kInt8BlockBytes, out);
        case WeightType::int4:
            return quantize_panel<Source>(source, columns, slice, panel, kernels.quantize_int4, kInt4BlockBytes, out);
    }
}

using FillFn = void (*)(const TensorView&, const Slice&, WeightType, const Kernels&, int64_t, std::byte*);

FillFn fill_from(DType source) {
    switch (source) {
        case DType::f32: return fill_panel<float>;
        case DType::f16: return fill_panel<F16>;
        case DType::bf16: return fill_panel<Bf16>;
    }
    return nullptr;
}

}  // namespace

size_t PackedMatrix::bytes_of(const Slice& slice, WeightType type) {
    return static_cast<size_t>(round_up(slice.rows.size(), kPanel) / kPanel *
                               bytes_of_panel(type, slice.columns.size()));
}

PackedMatrix::PackedMatrix(const TensorView& weight, const Slice& slice, WeightType type, const Kernels& kernels,
                           ThreadPool& pool)
    : PackedMatrix(weight, slice, type, kernels, pool, std::make_shared<Block>(bytes_of(slice, type), "weights"), 0) {}

PackedMatrix::PackedMatrix(const TensorView& weight, const Slice& slice, WeightType type, const Kernels& kernels,
                           ThreadPool& pool, std::shared_ptr<const Block> block, size_t offset)
    : rows_(slice.rows.size()),
      columns_(slice.columns.size()),
      panel_bytes_(bytes_of_panel(type, columns_)),
      type_(type),
      block_(std::move(block)),
      data_(block_->data() + offset) {
    const FillFn fill = fill_from(weight.dtype);
    std::unique_ptr<MatrixReader> reader;
    if (weight.encoded) reader = open_reader(*weight.encoded, weight.shape[0], weight.shape[1]);
    pool.run([&](int thread) {  // the same panels that this thread will read in every step: it touches them first
        const Range mine = split(panels(), 1, thread, pool.threads());
        for (int64_t p = mine.begin; p < mine.end; ++p) {
            std::byte* out = data_ + p * panel_bytes_;
            if (reader)
                fill_decoded(*reader, slice, type, kernels, p, out);
            else
                fill(weight, slice, type, kernels, p, out);
        }
    });
}

void PackedMatrix::read_row(int64_t row, float* out) const {
    const std::byte* from = panel(row / kPanel);
    switch (type_) {
        case WeightType::f32: return widen_row<float>(from, row % kPanel, columns_, out);
        case WeightType::f16: return widen_row<F16>(from, row % kPanel, columns_, out);
        case WeightType::bf16: return widen_row<Bf16>(from, row % kPanel, columns_, out);
        case WeightType::int8: return widen_quantized_row<false>(from, row % kPanel, columns_, out);
        case WeightType::int4: return widen_quantized_row<true>(from, row % kPanel, columns_, out);
    }
}

}  // namespace qwen3::cpu
