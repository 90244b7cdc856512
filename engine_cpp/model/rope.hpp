// Rotary position embedding (Su et al., 2021; halves rotated as in GPT-NeoX), stretched by YaRN where meta says so.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qwen3/meta.hpp"

namespace qwen3 {

class Rope {
public:
    explicit Rope(const Meta& meta);

    // cos, sin: [positions, dh / 2], f32 throughout, as the reference computes them.
    void angles(std::span<const int32_t> positions, std::vector<float>& cos, std::vector<float>& sin) const;

private:
    std::vector<float> inverse_frequency_;  // [dh / 2], theta^(-2i / dh)
    float magnitude_ = 1.0F;                // of cos and sin
};

}  // namespace qwen3
