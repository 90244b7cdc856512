#include "ops/cpu/quantized_buffer.hpp"

#include <cstring>

namespace qwen3::cpu {

void QuantizedBuffer::reserve(int64_t rows, int64_t columns) {
    const auto values = static_cast<size_t>(rows * round_up(columns, kBlock));
    if (values <= values_.bytes()) return;
    Block scales(values / kGroup * sizeof(float), "activations"),
        sums(values / kGroup * sizeof(int32_t), "activations");
    values_ = Block(values, "activations");
    scales_ = std::move(scales);
    sums_ = std::move(sums);
}

QuantizedRows QuantizedBuffer::view(int64_t columns) const {
    return {
        .values = reinterpret_cast<int8_t*>(values_.data()),
        .scales = reinterpret_cast<float*>(scales_.data()),
        .sums = reinterpret_cast<int32_t*>(sums_.data()),
        .columns = round_up(columns, kBlock),
    };
}

void QuantizedBuffer::copy(const QuantizedBuffer& other, int64_t columns, int64_t from, int64_t to) const {
    const QuantizedRows source = other.view(columns).from(from), target = view(columns).from(to);
    const auto groups = static_cast<size_t>(source.columns / kGroup);
    std::memcpy(target.values, source.values, static_cast<size_t>(source.columns));
    std::memcpy(target.scales, source.scales, groups * sizeof(float));
    std::memcpy(target.sums, source.sums, groups * sizeof(int32_t));
}

void QuantizedBuffer::quantize(const Kernels& kernels, const float* x, int64_t columns, int64_t row) const {
    const QuantizedRows rows = view(columns);
    const int64_t groups = rows.columns / kGroup;
    kernels.quantize_row(x, columns, rows.values + row * rows.columns, rows.scales + row * groups,
                         rows.sums + row * groups);
}

}  // namespace qwen3::cpu
