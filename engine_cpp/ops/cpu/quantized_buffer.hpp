// Room for the rows of one product, rounded to int8 as integer weights meet them.
#pragma once

#include "ops/cpu/kernels/kernels.hpp"
#include "ops/cpu/memory.hpp"

namespace qwen3::cpu {

class QuantizedBuffer {
public:
    // For `rows` rows of up to `columns` columns. Throws OutOfMemory.
    void reserve(int64_t rows, int64_t columns);

    // As rows of this many columns.
    QuantizedRows view(int64_t columns) const;
    // Row `to` = row `from` of another buffer, both of rows of this many columns.
    void copy(const QuantizedBuffer& other, int64_t columns, int64_t from, int64_t to) const;
    void quantize(const Kernels& kernels, const float* x, int64_t columns, int64_t row) const;

    size_t bytes() const { return values_.bytes() + scales_.bytes() + sums_.bytes(); }

private:
    Block values_, scales_, sums_;
};

}  // namespace qwen3::cpu
