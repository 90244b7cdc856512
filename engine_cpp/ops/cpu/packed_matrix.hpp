// A projection's shard in panels of 16 output rows, k ascending: the layout that decode and prefill both read.
#pragma once

#include <memory>

#include "ops/cpu/kernels/kernels.hpp"
#include "ops/cpu/memory.hpp"
#include "ops/ops.hpp"
#include "threads/thread_pool.hpp"

namespace qwen3::cpu {

class PackedMatrix final : public Matrix {
public:
    // Reads the slice of a row-major host weight, converting or rounding it, on all threads.
    PackedMatrix(const TensorView& weight, const Slice& slice, WeightType type, const Kernels& kernels,
                 ThreadPool& pool);
    // The same into `bytes_of` bytes at `offset` of a block that several matrices share.
    PackedMatrix(const TensorView& weight, const Slice& slice, WeightType type, const Kernels& kernels,
                 ThreadPool& pool, std::shared_ptr<const Block> block, size_t offset);
    static size_t bytes_of(const Slice& slice, WeightType type);

    int64_t rows() const { return rows_; }
    int64_t columns() const { return columns_; }
    int64_t panels() const { return (rows_ + kPanel - 1) / kPanel; }
    WeightType type() const { return type_; }
    int64_t panel_bytes() const { return panel_bytes_; }
    const std::byte* panel(int64_t index) const { return data_ + index * panel_bytes_; }
    size_t bytes() const override { return static_cast<size_t>(panels() * panel_bytes_); }

    // out[columns] = row of the matrix, widened.
    void read_row(int64_t row, float* out) const;

private:
    int64_t rows_, columns_, panel_bytes_;
    WeightType type_;
    std::shared_ptr<const Block> block_;
    std::byte* data_;  // in it
};

}  // namespace qwen3::cpu
