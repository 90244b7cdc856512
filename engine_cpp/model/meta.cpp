#include "qwen3/meta.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "qwen3/error.hpp"

namespace qwen3 {
namespace {

constexpr int64_t kMost = int64_t{1} << 31;  // far above any model, low enough that products of two fit in 64 bits

void require_positive(const char* field, int64_t value) {
    if (value <= 0 || value >= kMost)
        throw ConfigError(std::string("meta.") + field + " is " + std::to_string(value) +
                          "; expected a positive number below 2^31");
}

void require_positive(const char* field, float value) {
    if (!(std::isfinite(value) && value > 0.0F))
        throw ConfigError(std::string("meta.") + field + " is " + std::to_string(value) +
                          "; expected a positive finite number");
}

void validate_experts(const Experts& experts, int64_t nlayer) {
    require_positive("experts.count", experts.count);
    require_positive("experts.per_token", experts.per_token);
    require_positive("experts.di", experts.di);
    if (experts.per_token > experts.count)
        throw ConfigError("meta.experts.per_token is " + std::to_string(experts.per_token) +
                          "; a layer has meta.experts.count = " + std::to_string(experts.count));
    int64_t last = -1;
    for (int64_t layer : experts.dense_layers) {
        if (layer <= last || layer >= nlayer)
            throw ConfigError("meta.experts.dense_layers holds " + std::to_string(layer) +
                              "; expected ascending layers below meta.nlayer, which is " + std::to_string(nlayer));
        last = layer;
    }
}

}  // namespace

bool Meta::sparse(int64_t layer) const {
    return experts.count > 0 && !std::binary_search(experts.dense_layers.begin(), experts.dense_layers.end(), layer);
}

int64_t Meta::sparse_layers() const {
    return experts.count > 0 ? nlayer - static_cast<int64_t>(experts.dense_layers.size()) : 0;
}

void Meta::validate() const {
    require_positive("nlayer", nlayer);
    require_positive("d", d);
    require_positive("nh", nh);
    require_positive("nkvh", nkvh);
    require_positive("dh", dh);
    require_positive("di", di);
    require_positive("dctx", dctx);
    require_positive("dvoc", dvoc);
    require_positive("epsilon", epsilon);
    require_positive("theta", theta);
    if (!(std::isfinite(yarn.factor) && yarn.factor >= 1.0F))
        throw ConfigError("meta.yarn.factor is " + std::to_string(yarn.factor) + "; expected a finite number from 1");
    if (yarn.factor > 1.0F) {
        require_positive("yarn.original_dctx", yarn.original_dctx);
        require_positive("yarn.beta_slow", yarn.beta_slow);
        if (!(std::isfinite(yarn.beta_fast) && yarn.beta_fast > yarn.beta_slow))
            throw ConfigError("meta.yarn.beta_fast is " + std::to_string(yarn.beta_fast) +
                              "; expected more than beta_slow, which is " + std::to_string(yarn.beta_slow));
        if (!(std::isfinite(yarn.attention_factor) && yarn.attention_factor >= 0.0F))
            throw ConfigError("meta.yarn.attention_factor is " + std::to_string(yarn.attention_factor) +
                              "; expected a finite number from 0");
    }
    if (dh % 2 != 0) throw ConfigError("meta.dh is " + std::to_string(dh) + "; RoPE rotates pairs, so it must be even");
    if (nh * dh >= kMost)
        throw ConfigError("meta.nh is " + std::to_string(nh) + " and meta.dh is " + std::to_string(dh) +
                          "; expected a product below 2^31");
    if (nh % nkvh != 0)
        throw ConfigError("meta.nh is " + std::to_string(nh) + " and meta.nkvh is " + std::to_string(nkvh) +
                          "; nkvh must divide nh");
    if (experts.count != 0) validate_experts(experts, nlayer);
    for (int32_t id : end_tokens)
        if (id < 0 || id >= dvoc)
            throw ConfigError("meta.end_tokens holds " + std::to_string(id) + ", which is not in the vocabulary of " +
                              std::to_string(dvoc));
}

}  // namespace qwen3
