package io.mor.tokenizer.huggingface;

import io.mor.api.data.Tokenizer;
import io.mor.testkit.TokenizerContract;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;

/** A BPE file with byte fallback, as SentencePiece models have it, keeps the contract. */
class ByteFallbackTokenizerTest extends TokenizerContract {

    @TempDir
    Path folder;

    private Tokenizer open(String name, List<String> pieces) {
        return new HuggingFaceTokenizer(new HuggingFaceConfig(
                TestFiles.byteFallback(folder.resolve(name), pieces).toString(), ""));
    }

    @Override
    protected Tokenizer tokenizer() {
        return open("tokenizer.json", List.of("▁", "a", "b", "ö"));
    }

    @Override
    protected Tokenizer differentTokenizer() {
        return open("other.json", List.of("▁", "a", "c", "ö"));
    }
}
