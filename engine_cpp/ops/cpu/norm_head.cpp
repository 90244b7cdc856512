#include <array>

#include "ops/cpu/cpu_ops.hpp"

namespace qwen3::cpu {

void CpuOps::norm_head(const Buffer& hidden, const Vector& norm, const Matrix& head, std::span<float> logits) {
    if (batch_->nrows() == 0) return;
    normalise(hidden, norm, batch_->logit_rows);
    multiply_all(normed_->row(0), shape_.meta.d, batch_->nrows(),
                 std::array{Product{static_cast<const PackedMatrix&>(head), logits.data() + shape_.shard.vocab.begin,
                                    shape_.meta.dvoc}});
}

}  // namespace qwen3::cpu
