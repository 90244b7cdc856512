// What the files of the Python module share: one bind_* function per bound class, and how arrays cross the seam.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "qwen3/engine.hpp"

namespace qwen3::python {

namespace nb = nanobind;

void bind_errors();
void bind_meta(nb::module_& module);
void bind_weights(nb::module_& module);
void bind_sampling(nb::module_& module);
void bind_kv_cache(nb::module_& module);
void bind_generation(nb::module_& module);
void bind_profile(nb::module_& module);
void bind_memory(nb::module_& module);
void bind_limits(nb::module_& module);
void bind_engine(nb::module_& module);

// Token ids as the facade passes them: checked there, read in place here.
using Ids = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

inline std::span<const int32_t> view(const Ids& ids) { return {ids.data(), ids.size()}; }

// By name; throw ConfigError naming the option when there is no such type.
std::optional<WeightType> parse_weight_option(const std::optional<std::string>& name);
std::optional<DType> parse_kv_option(const std::optional<std::string>& name);

// Holds what blocks in its destructor until the engine's thread has let go; meanwhile other Python threads go on.
template <typename Pointer>
class Unlocked {
public:
    explicit Unlocked(Pointer pointer) : pointer_(std::move(pointer)) {}
    Unlocked(Unlocked&&) noexcept = default;
    Unlocked(const Unlocked&) = delete;
    Unlocked& operator=(const Unlocked&) = delete;
    Unlocked& operator=(Unlocked&&) = delete;
    ~Unlocked() {
        if (!pointer_) return;
        nb::gil_scoped_release release;
        pointer_.reset();
    }

    auto* operator->() const { return pointer_.get(); }

private:
    Pointer pointer_;
};

// The engine's thread may be the last to let go of a cache, and must not meet the interpreter there: so what it shares
// is the cache itself, never the Python object (which a shared_ptr of nanobind's would hold).
struct HeldCache {
    std::shared_ptr<KvCache> cache;
};

using HeldEngine = Unlocked<std::shared_ptr<Engine>>;
using HeldGeneration = Unlocked<std::unique_ptr<Generation>>;

// The caller's arrays, kept alive beside the views of them until the engine has read them.
class HeldWeights {
public:
    HeldWeights(int64_t nlayer, int64_t experts) : weights_(nlayer, experts), nlayer_(nlayer), experts_(experts) {}

    // index: the layer, for experts layer * experts + expert; -1 for what exists once.
    void set(const std::string& slot, int64_t index, const nb::ndarray<nb::ro>& array,
             const std::optional<std::string>& dtype, std::optional<std::vector<int64_t>> shape, bool mapped);
    // A quantized matrix: its arrays by role (values, scales, zeros, group_index), each with its element type and
    // shape.
    using Parts = std::map<std::string, std::tuple<nb::ndarray<nb::ro>, std::string, std::vector<int64_t>>>;
    void set_encoded(const std::string& slot, int64_t index, const std::string& encoding,
                     const std::vector<int64_t>& shape, const Parts& parts, int bits, int64_t block_rows,
                     int64_t block_columns, int zero_offset, bool mapped);
    const Weights& view() const { return weights_; }

private:
    // Throws CheckpointError where there is none.
    Place place(const std::string& slot, int64_t index) const;

    Weights weights_;
    int64_t nlayer_, experts_;
    std::vector<nb::ndarray<nb::ro>> arrays_;
};

}  // namespace qwen3::python
