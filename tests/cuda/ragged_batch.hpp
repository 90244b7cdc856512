// A ragged batch on the device, in arrays that have room for its bucket and hold garbage where there is nothing.
#pragma once

#include <memory>

#include "device_array.hpp"
#include "ops/cuda/launch.hpp"
#include "values.hpp"

namespace qwen3::cuda::test {

struct Request {
    int32_t first_position;
    int32_t rows;

    int32_t context() const { return first_position + rows; }
    int32_t pages() const { return (context() + kPageTokens - 1) / kPageTokens; }
};

class RaggedBatch {
public:
    struct Options {
        int32_t spare_rows = 0;  // of the bucket, beyond the batch
        int32_t spare_sequences = 0;
        std::vector<int32_t> logit_rows = {};
        int32_t spare_logit_rows = 0;
        std::vector<DevicePageCopy> copies = {};
        int32_t head_dim = 8;
        int32_t vocab = 100;
        unsigned seed = 1;
    };

    // Pages are dealt out in a random order from a pool that is a little larger than needed.
    RaggedBatch(const std::vector<Request>& requests, const Options& options) : requests_(requests) {
        Noise noise(options.seed);
        int32_t rows = 0, pages = 0;
        bool single = false, many = false;
        for (const Request& r : requests) {
            rows += r.rows;
            pages += r.pages();
            (r.rows == 1 ? single : many) = true;
        }
        pool_pages_ = pages + 3;
        const auto count = static_cast<int32_t>(requests.size());
        bucket_ = {rows + options.spare_rows, count + options.spare_sequences,
                   static_cast<int32_t>(options.logit_rows.size()) + options.spare_logit_rows, single, many};

        const auto row_room = static_cast<size_t>(bucket_.rows);
        const int32_t garbage = 1 << 30;
        tokens_.assign(row_room, garbage);
        positions_.assign(row_room, garbage);
        std::vector<int32_t> row_sequence(row_room, garbage);
        sequences_.assign(static_cast<size_t>(bucket_.sequences), {garbage, garbage, garbage, garbage});
        pages_ = noise.shuffled(pool_pages_);
        int32_t row = 0, page = 0;
        for (int32_t s = 0; s < count; ++s) {
            const Request& r = requests[static_cast<size_t>(s)];
            sequences_[static_cast<size_t>(s)] = {row, r.rows, r.first_position, page};
            for (int32_t i = 0; i < r.rows; ++i, ++row) {
                tokens_[static_cast<size_t>(row)] = (row * 37 + 11) % options.vocab;
                positions_[static_cast<size_t>(row)] = r.first_position + i;
                row_sequence[static_cast<size_t>(row)] = s;
            }
            page += r.pages();
        }
        std::vector<int32_t> logit_rows = options.logit_rows;
        logit_rows.resize(static_cast<size_t>(bucket_.logit_rows), garbage);

        const auto half = static_cast<size_t>(options.head_dim / 2);
        cos_.assign(row_room * half, kNaN);
        sin_.assign(row_room * half, kNaN);
        for (size_t i = 0; i < static_cast<size_t>(rows) * half; ++i) {
            const double angle =
                positions_[i / half] * std::pow(1e4, -2.0 * static_cast<double>(i % half) / options.head_dim);
            cos_[i] = static_cast<float>(std::cos(angle));
            sin_[i] = static_cast<float>(std::sin(angle));
        }
        const BatchCounts counts{rows, count, static_cast<int32_t>(options.logit_rows.size()),
                                 static_cast<int32_t>(options.copies.size())};
        counts_ = std::make_unique<DeviceArray<BatchCounts>>(std::vector{counts});
        device_tokens_ = std::make_unique<DeviceArray<int32_t>>(tokens_);
        device_positions_ = std::make_unique<DeviceArray<int32_t>>(positions_);
        row_sequence_ = std::make_unique<DeviceArray<int32_t>>(row_sequence);
        device_sequences_ = std::make_unique<DeviceArray<DeviceSequence>>(sequences_);
        device_pages_ = std::make_unique<DeviceArray<int32_t>>(pages_);
        logit_rows_ = std::make_unique<DeviceArray<int32_t>>(logit_rows);
        copies_ = std::make_unique<DeviceArray<DevicePageCopy>>(options.copies);
        device_cos_ = std::make_unique<DeviceArray<float>>(cos_);
        device_sin_ = std::make_unique<DeviceArray<float>>(sin_);
        rows_ = rows;
    }

    Step step() const {
        return {{counts_->data(), device_tokens_->data(), device_positions_->data(), row_sequence_->data(),
                 device_sequences_->data(), device_pages_->data(), logit_rows_->data(), copies_->data(),
                 device_cos_->data(), device_sin_->data()},
                bucket_,
                nullptr};
    }
    const Bucket& bucket() const { return bucket_; }
    int64_t rows() const { return rows_; }  // of the batch, not of its bucket
    const std::vector<Request>& requests() const { return requests_; }
    const std::vector<int32_t>& tokens() const { return tokens_; }
    float cos(int64_t row, int64_t i, int64_t half) const { return cos_[static_cast<size_t>(row * half + i)]; }
    float sin(int64_t row, int64_t i, int64_t half) const { return sin_[static_cast<size_t>(row * half + i)]; }
    int32_t pool_pages() const { return pool_pages_; }
    int32_t page(size_t sequence, int32_t position) const {
        return pages_[static_cast<size_t>(sequences_[sequence].first_page + position / kPageTokens)];
    }

private:
    std::vector<Request> requests_;
    Bucket bucket_{};
    int64_t rows_ = 0;
    int32_t pool_pages_ = 0;
    std::vector<int32_t> tokens_, positions_, pages_;
    std::vector<DeviceSequence> sequences_;
    std::vector<float> cos_, sin_;
    std::unique_ptr<DeviceArray<BatchCounts>> counts_;
    std::unique_ptr<DeviceArray<int32_t>> device_tokens_, device_positions_, row_sequence_, device_pages_, logit_rows_;
    std::unique_ptr<DeviceArray<DeviceSequence>> device_sequences_;
    std::unique_ptr<DeviceArray<DevicePageCopy>> copies_;
    std::unique_ptr<DeviceArray<float>> device_cos_, device_sin_;
};

// Rows [0, n) of one-row sequences, for verbs that know no sequences.
inline RaggedBatch plain_rows(int32_t rows, int32_t spare_rows = 0, std::vector<int32_t> logit_rows = {},
                              int32_t spare_logit_rows = 0) {
    return RaggedBatch(
        std::vector<Request>(static_cast<size_t>(rows), {0, 1}),
        {.spare_rows = spare_rows, .logit_rows = std::move(logit_rows), .spare_logit_rows = spare_logit_rows});
}

}  // namespace qwen3::cuda::test
