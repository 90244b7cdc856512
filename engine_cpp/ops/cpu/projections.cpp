// The two projections that add to the residual stream.
#include <array>

#include "ops/cpu/cpu_ops.hpp"

namespace qwen3::cpu {

void CpuOps::o_residual(const Buffer& attn, const Matrix& wo, bool residual, Buffer& hidden) {
    const auto& y = static_cast<CpuBuffer&>(hidden);
    multiply_all(activations(attn, batch_->ntok()),
                 std::array{Product{static_cast<const PackedMatrix&>(wo), y.row(0), y.columns(), residual}});
}

void CpuOps::down_residual(const Buffer& act, const Matrix& down, bool residual, Buffer& hidden) {
    o_residual(act, down, residual, hidden);
}

}  // namespace qwen3::cpu
