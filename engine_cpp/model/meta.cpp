#include "qwen3/meta.hpp"

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

}  // namespace

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
    for (int32_t id : end_tokens)
        if (id < 0 || id >= dvoc)
            throw ConfigError("meta.end_tokens holds " + std::to_string(id) + ", which is not in the vocabulary of " +
                              std::to_string(dvoc));
}

}  // namespace qwen3
