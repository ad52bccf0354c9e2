package io.mor.tokenizer.huggingface;

import io.mor.api.data.Tokenizer;
import io.mor.testkit.TokenizerContract;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;

/** A byte-level BPE file keeps the contract. */
class ByteLevelTokenizerTest extends TokenizerContract {

    @TempDir
    Path folder;

    private Tokenizer open(String name, List<String> merges) {
        Path file = TestFiles.byteLevel(folder.resolve(name), merges, List.of("<|endoftext|>"));
        return new HuggingFaceTokenizer(new HuggingFaceConfig(file.toString(), ""));
    }

    @Override
    protected Tokenizer tokenizer() {
        return open("tokenizer.json", List.of("a b", "ab c", "Ġ abc"));
    }

    @Override
    protected Tokenizer differentTokenizer() {
        return open("other.json", List.of("a b", "b c", "Ġ ab"));
    }
}
