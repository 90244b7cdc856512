#include "ops/cuda/host/batch_upload.hpp"

#include <algorithm>

namespace qwen3::cuda {
namespace {

// Lays arrays out one after the other, each on a multiple of 16 bytes.
class Layout {
public:
    template <class T>
    size_t place(int64_t count) {
        const size_t begin = end_;
        end_ = (end_ + static_cast<size_t>(count) * sizeof(T) + 15) / 16 * 16;
        return begin;
    }
    size_t end() const { return end_; }

private:
    size_t end_ = 0;
};

template <class T>
T* at(std::byte* base, size_t offset) {
    return reinterpret_cast<T*>(base + offset);
}

}  // namespace

BatchCapacity BatchCapacity::of(const Qwen3CudaBatch& batch) {
    BatchCapacity capacity{
        .rows = batch.ntok, .sequences = batch.sequence_count, .logit_rows = batch.nrows, .copies = batch.copy_count};
    for (int64_t i = 0; i < batch.sequence_count; ++i) capacity.pages += batch.sequences[i].page_count;
    return capacity;
}

bool BatchCapacity::holds(const BatchCapacity& other) const {
    return rows >= other.rows && sequences >= other.sequences && logit_rows >= other.logit_rows &&
           copies >= other.copies && pages >= other.pages;
}

bool BatchUpload::reserve(const BatchCapacity& wanted, int64_t head_dim) {
    if (host_.bytes() > 0 && capacity_.holds(wanted)) return false;
    capacity_ = {.rows = std::max(wanted.rows, capacity_.rows),
                 .sequences = std::max(wanted.sequences, capacity_.sequences),
                 .logit_rows = std::max(wanted.logit_rows, capacity_.logit_rows),
                 .copies = std::max(wanted.copies, capacity_.copies),
                 .pages = std::max(wanted.pages, capacity_.pages)};
    half_ = head_dim / 2;
    Layout layout;
    counts_ = layout.place<BatchCounts>(1);
    tokens_ = layout.place<int32_t>(capacity_.rows);
    positions_ = layout.place<int32_t>(capacity_.rows);
    row_sequence_ = layout.place<int32_t>(capacity_.rows);
    sequences_ = layout.place<DeviceSequence>(capacity_.sequences);
    logit_rows_ = layout.place<int32_t>(capacity_.logit_rows);
    copies_ = layout.place<DevicePageCopy>(capacity_.copies);
    cos_ = layout.place<float>(capacity_.rows * half_);
    sin_ = layout.place<float>(capacity_.rows * half_);
    pages_ = layout.place<int32_t>(capacity_.pages);
    try {
        block_.reserve(layout.end(), "a batch");
        host_.reserve(layout.end(), "a batch");
    } catch (...) {
        capacity_ = {};  // the next step tries again
        throw;
    }
    return true;
}

DeviceBatch BatchUpload::device() const {
    std::byte* base = block_.data();
    return {.counts = at<BatchCounts>(base, counts_),
            .tokens = at<int32_t>(base, tokens_),
            .positions = at<int32_t>(base, positions_),
            .row_sequence = at<int32_t>(base, row_sequence_),
            .sequences = at<DeviceSequence>(base, sequences_),
            .pages = at<int32_t>(base, pages_),
            .logit_rows = at<int32_t>(base, logit_rows_),
            .copies = at<DevicePageCopy>(base, copies_),
            .cos = at<float>(base, cos_),
            .sin = at<float>(base, sin_)};
}

void BatchUpload::send(const Qwen3CudaBatch& batch, cudaStream_t stream) {
    std::byte* base = host_.data();
    *at<BatchCounts>(base, counts_) = {static_cast<int32_t>(batch.ntok), static_cast<int32_t>(batch.sequence_count),
                                       static_cast<int32_t>(batch.nrows), static_cast<int32_t>(batch.copy_count)};
    std::copy_n(batch.tokens, batch.ntok, at<int32_t>(base, tokens_));
    std::copy_n(batch.positions, batch.ntok, at<int32_t>(base, positions_));
    std::copy_n(batch.logit_rows, batch.nrows, at<int32_t>(base, logit_rows_));
    std::copy_n(batch.copies, 2 * batch.copy_count, at<int32_t>(base, copies_));
    std::copy_n(batch.cos, batch.ntok * half_, at<float>(base, cos_));
    std::copy_n(batch.sin, batch.ntok * half_, at<float>(base, sin_));

    int32_t* row_sequence = at<int32_t>(base, row_sequence_);
    auto* sequences = at<DeviceSequence>(base, sequences_);
    int32_t* pages = at<int32_t>(base, pages_);
    int32_t next_page = 0;
    for (int64_t i = 0; i < batch.sequence_count; ++i) {
        const Qwen3CudaSequence& s = batch.sequences[i];
        std::fill_n(row_sequence + s.first_row, s.rows, static_cast<int32_t>(i));
        sequences[i] = {static_cast<int32_t>(s.first_row), static_cast<int32_t>(s.rows),
                        static_cast<int32_t>(s.first_position), next_page};
        std::copy_n(s.pages, s.page_count, pages + next_page);
        next_page += static_cast<int32_t>(s.page_count);
    }
    const size_t used = pages_ + static_cast<size_t>(next_page) * sizeof(int32_t);
    check(cudaMemcpyAsync(block_.data(), base, used, cudaMemcpyHostToDevice, stream), "the upload of a batch");
}

}  // namespace qwen3::cuda
