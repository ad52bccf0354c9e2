/**
 * The tokenizer {@code huggingface}: any {@code tokenizer.json}, through the native library of DJL's tokenizers, without a network.
 *
 * <p>Exports its one package so that the runtime can make its classes; opens nothing. Needs native access for itself, which
 * loads the library, and for {@code ai.djl.tokenizers}, whose methods it binds. Found as a {@link io.mor.api.plugin.MorPlugin}.
 */
module io.mor.tokenizer.huggingface {
    requires io.mor.api;
    requires ai.djl.tokenizers;
    requires com.google.gson;

    exports io.mor.tokenizer.huggingface;

    provides io.mor.api.plugin.MorPlugin with
            io.mor.tokenizer.huggingface.HuggingFaceTokenizerPlugin;
}
