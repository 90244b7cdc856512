// What a device answers that knows no mixture of experts.
#include "ops/ops.hpp"

#include "qwen3/error.hpp"

namespace qwen3 {

void Ops::refuse_experts() {
    throw DeviceError("this device runs dense models only, and this one is a mixture of experts: use cpu:0");
}

std::vector<std::unique_ptr<Matrix>> Ops::pack_all(std::span<const Source>, const Slice&,
                                                   const std::function<void(size_t)>&) {
    refuse_experts();
}

void Ops::norm_route(const Buffer&, const Vector&, const Matrix&, std::span<int64_t>) { refuse_experts(); }

void Ops::experts_gate_up_silu(std::span<const Expert>, Buffer&) { refuse_experts(); }

void Ops::experts_down_residual(const Buffer&, std::span<const Expert>, bool, Buffer&) { refuse_experts(); }

}  // namespace qwen3
