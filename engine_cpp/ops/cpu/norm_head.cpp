#include <array>

#include "ops/cpu/cpu_ops.hpp"

namespace qwen3::cpu {

void CpuOps::norm_head(const Buffer& hidden, const Vector& norm, const Matrix& head, std::span<float> logits) {
    if (batch_->nrows() == 0) return;
    multiply_all(normalised(hidden, norm, batch_->logit_rows),
                 std::array{Product{static_cast<const PackedMatrix&>(head), logits.data() + shape_.shard.vocab.begin,
                                    shape_.meta.dvoc}});
}

}  // namespace qwen3::cpu
