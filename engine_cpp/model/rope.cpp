#include "model/rope.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace qwen3 {
namespace {

// The pair of a head that turns so often within the context of the training.
double pair_of(double turns, const Meta& meta) {
    const double wavelengths = static_cast<double>(meta.yarn.original_dctx) / (turns * 2.0 * std::numbers::pi);
    return static_cast<double>(meta.dh) * std::log(wavelengths) / (2.0 * std::log(double{meta.theta}));
}

// Slow frequencies are divided by the factor, fast ones kept, those between them some of both.
void stretch(std::vector<float>& frequencies, const Meta& meta) {
    const YarnScaling& yarn = meta.yarn;
    const double low = std::max(std::floor(pair_of(yarn.beta_fast, meta)), 0.0);
    double high = std::min(std::ceil(pair_of(yarn.beta_slow, meta)), static_cast<double>(meta.dh - 1));
    if (!(high > low)) high = low + 0.001;
    for (size_t i = 0; i < frequencies.size(); ++i) {
        const auto slow = static_cast<float>(std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0));
        frequencies[i] = frequencies[i] / yarn.factor * slow + frequencies[i] * (1.0F - slow);
    }
}

}  // namespace

Rope::Rope(const Meta& meta) : inverse_frequency_(static_cast<size_t>(meta.dh / 2)) {
    for (size_t i = 0; i < inverse_frequency_.size(); ++i)
        inverse_frequency_[i] = 1.0F / std::pow(meta.theta, static_cast<float>(2 * i) / static_cast<float>(meta.dh));
    if (meta.yarn.factor == 1.0F) return;
    stretch(inverse_frequency_, meta);
    magnitude_ =
        meta.yarn.attention_factor > 0.0F ? meta.yarn.attention_factor : 0.1F * std::log(meta.yarn.factor) + 1.0F;
}

void Rope::angles(std::span<const int32_t> positions, std::vector<float>& cos, std::vector<float>& sin) const {
    const size_t half = inverse_frequency_.size();
    cos.resize(positions.size() * half);
    sin.resize(positions.size() * half);
    for (size_t t = 0; t < positions.size(); ++t)
        for (size_t i = 0; i < half; ++i) {
            const float angle = static_cast<float>(positions[t]) * inverse_frequency_[i];
            cos[t * half + i] = std::cos(angle) * magnitude_;
            sin[t * half + i] = std::sin(angle) * magnitude_;
        }
}

}  // namespace qwen3
