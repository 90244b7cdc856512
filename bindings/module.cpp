// The compiled half of qwen3_chat.engine. People use the Python facade beside it.
#include "bindings.hpp"

NB_MODULE(_core, module) {
    using namespace qwen3::python;
    module.attr("PAGE_TOKENS") = qwen3::kPageTokens;
    module.attr("MAX_TOP_LOGPROBS") = qwen3::kMaxTopLogprobs;
    bind_errors();
    bind_meta(module);
    bind_weights(module);
    bind_sampling(module);
    bind_kv_cache(module);
    bind_generation(module);
    bind_profile(module);
    bind_memory(module);
    bind_limits(module);
    bind_engine(module);
    nb::set_leak_warnings(false);  // an engine that lives until the process ends is no leak
}
