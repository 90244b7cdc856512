// The passes that sampling makes over a row of logits, at the width of this machine's vectors. A row is host memory
// whatever devices computed it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qwen3 {

namespace cpu {
struct Kernels;
}

class LogitsScan {
public:
    static constexpr size_t kBlock = 256;

    // With the best kernels of this machine, or those that QWEN3_ISA names; throws ConfigError as the devices do.
    LogitsScan();

    // maxima[b] = the largest of logits [b * kBlock, (b + 1) * kBlock), NaN passed over: -inf when there is no other.
    void block_maxima(std::span<const float> logits, std::vector<float>& maxima) const;
    // Sum of exp(logit - shift) for a shift >= every logit, to about 1e-7; NaN when a logit is NaN.
    double sum_exp(std::span<const float> logits, float shift) const;

private:
    const cpu::Kernels* kernels_;
};

}  // namespace qwen3
