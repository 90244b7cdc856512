#include "ops/logits_scan.hpp"

#include "ops/cpu/kernels/kernels.hpp"

namespace qwen3 {

static_assert(LogitsScan::kBlock == cpu::kLogitsBlock);

LogitsScan::LogitsScan() : kernels_(&cpu::select_kernels()) {}

void LogitsScan::block_maxima(std::span<const float> logits, std::vector<float>& maxima) const {
    maxima.resize((logits.size() + kBlock - 1) / kBlock);
    kernels_->block_maxima(logits.data(), static_cast<int64_t>(logits.size()), maxima.data());
}

double LogitsScan::sum_exp(std::span<const float> logits, float shift) const {
    return kernels_->sum_exp(logits.data(), static_cast<int64_t>(logits.size()), shift);
}

}  // namespace qwen3
