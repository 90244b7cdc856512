#include "qwen3/kv_cache.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"

namespace qwen3::python {

void bind_kv_cache(nb::module_& module) {
    nb::class_<HeldCache>(module, "KVCache",
                          "The keys and values of one conversation: pages of tokens, shared copy-on-write by forks.")
        .def("__len__", [](const HeldCache& self) { return self.cache->size(); })
        .def_prop_ro(
            "tokens", [](const HeldCache& self) { return self.cache->tokens(); }, "The token ids held, first to last.")
        .def_prop_ro(
            "busy", [](const HeldCache& self) { return self.cache->busy(); }, "A generation is writing to it.")
        .def_prop_ro(
            "bytes", [](const HeldCache& self) { return self.cache->bytes(); },
            "Bytes of the pages it refers to, over all devices; shared pages count in each holder.")
        .def_prop_ro(
            "pages", [](const HeldCache& self) { return self.cache->pages(); }, "Pages it refers to.")
        .def(
            "fork",
            [](const HeldCache& self, std::optional<int64_t> n) {
                return HeldCache{self.cache->fork(n.value_or(self.cache->size()))};
            },
            nb::arg("n") = nb::none(),
            "A new cache that shares the pages of the first n tokens (all by default).\n\n"
            "Raises ConfigError if n is out of range.")
        .def(
            "truncate", [](const HeldCache& self, int64_t n) { self.cache->truncate(n); }, nb::arg("n"),
            "Forget everything after the first n tokens.\n\n"
            "Raises ConfigError if n is out of range or a generation is writing to the cache.");
}

}  // namespace qwen3::python
