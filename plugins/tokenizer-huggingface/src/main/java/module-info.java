/**
 * The tokenizer {@code huggingface}: any {@code tokenizer.json}, through the native library of DJL's tokenizers, without a network.
 *
 * <p>Exports its one package so that the runtime can make its classes; opens nothing. The native library needs {@code
 * --enable-native-access=ai.djl.tokenizers}. Found as a {@link io.mor.api.plugin.MorPlugin}.
 */
module io.mor.tokenizer.huggingface {
  requires io.mor.api;
  requires ai.djl.tokenizers;
  requires com.google.gson;
  requires org.slf4j; // DJL has no descriptor, so nothing else would put its logging into the module graph

  exports io.mor.tokenizer.huggingface;

  provides io.mor.api.plugin.MorPlugin with
      io.mor.tokenizer.huggingface.HuggingFaceTokenizerPlugin;
}
