#include "model/rope.hpp"

#include <cmath>

namespace qwen3 {

Rope::Rope(const Meta& meta) : inverse_frequency_(static_cast<size_t>(meta.dh / 2)) {
    for (size_t i = 0; i < inverse_frequency_.size(); ++i)
        inverse_frequency_[i] = 1.0F / std::pow(meta.theta, static_cast<float>(2 * i) / static_cast<float>(meta.dh));
}

void Rope::angles(std::span<const int32_t> positions, std::vector<float>& cos, std::vector<float>& sin) const {
    const size_t half = inverse_frequency_.size();
    cos.resize(positions.size() * half);
    sin.resize(positions.size() * half);
    for (size_t t = 0; t < positions.size(); ++t)
        for (size_t i = 0; i < half; ++i) {
            const float angle = static_cast<float>(positions[t]) * inverse_frequency_[i];
            cos[t * half + i] = std::cos(angle);
            sin[t * half + i] = std::sin(angle);
        }
}

}  // namespace qwen3
