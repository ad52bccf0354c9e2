package io.mor.runtime.experiment;

import io.mor.api.data.Corpus;
import io.mor.api.data.Tokenizer;
import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import io.mor.runtime.config.DataConfig;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.data.BatchSampler;
import io.mor.runtime.data.ConcatenatedCorpus;
import io.mor.runtime.data.Corpora;
import io.mor.runtime.data.CorpusException;
import io.mor.runtime.data.DataListener;
import io.mor.runtime.data.LearnableTokenizer;
import io.mor.runtime.data.RandomOffsets;
import io.mor.runtime.data.SequentialRows;
import io.mor.runtime.data.TokenBytes;
import io.mor.runtime.data.TokenDataset;
import io.mor.runtime.data.TokenShard;
import io.mor.runtime.data.TokenSource;
import io.mor.runtime.data.ValidationSplit;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/** The tokenised text of an experiment. Owns the mapped file. */
final class TrainingData implements AutoCloseable {

    private final TokenShard shard;
    private final ExperimentConfig config;

    private TrainingData(TokenShard shard, ExperimentConfig config) {
        this.shard = shard;
        this.config = config;
    }

    /** A tokenizer that knows its vocabulary, and the config that makes it again. */
    record Prepared(Tokenizer tokenizer, ExperimentConfig config) {}

    /** Lets a tokenizer learn its vocabulary where it must. */
    static Prepared prepare(Tokenizer tokenizer, ExperimentConfig config, DataListener listener) {
        if (!(tokenizer instanceof LearnableTokenizer learnable) || !learnable.needsCorpus()) {
            return new Prepared(tokenizer, config);
        }
        try {
            Corpus corpus = corpus(config.data(), listener);
            if (!config.data().validationPaths().isEmpty()) { // its characters must have ids too
                Corpus validation = Corpora.of(
                        config.data().validationPaths(), config.data().jsonField(), listener);
                corpus = new ConcatenatedCorpus(List.of(corpus, validation));
            }
            LearnableTokenizer.Learned learned = learnable.learn(corpus);
            ExperimentConfig known = config;
            for (Map.Entry<String, String> entry : learned.config().entrySet()) {
                known = known.with("tokenizer." + entry.getKey(), entry.getValue());
            }
            return new Prepared(learned.tokenizer(), known);
        } catch (IOException e) {
            throw failure(e);
        }
    }

    private static Corpus corpus(DataConfig data, DataListener listener) throws IOException {
        if (data.paths().isEmpty()) {
            throw new UsageException(
                    "data.paths: there is no text; name files, folders, patterns or archive entries, for example -s data.paths=[corpus.txt]");
        }
        return Corpora.of(data.paths(), data.jsonField(), listener);
    }

    /** Opens the text of a config, tokenising it first where that has not been done. */
    static TrainingData open(ExperimentConfig config, Tokenizer tokenizer, DataListener listener) {
        DataConfig data = config.data();
        try {
            Corpus corpus = corpus(data, listener);
            ValidationSplit split;
            if (!data.validationPaths().isEmpty()) {
                split = new ValidationSplit.Separate(Corpora.of(data.validationPaths(), data.jsonField(), listener));
            } else {
                split = fraction(data);
            }
            TokenSource source = new TokenSource(corpus, split, true);
            TokenShard shard = TokenShard.openOrBuild(
                    data.shards().resolve(source.name(tokenizer) + ".tokens"), source, tokenizer, listener);
            return new TrainingData(shard, config);
        } catch (IOException e) {
            throw failure(e);
        }
    }

    private static ValidationSplit fraction(DataConfig data) {
        if (data.validationFraction() == 0) {
            return new ValidationSplit.None();
        }
        return switch (data.validationUnit()) {
            case CHARACTERS -> new ValidationSplit.CharacterFraction(data.validationFraction());
            case TOKENS -> new ValidationSplit.TokenFraction(data.validationFraction());
        };
    }

    private static MorException failure(IOException e) {
        return e instanceof CorpusException
                ? new UsageException("data: " + e.getMessage())
                : new MorException("data: " + e.getMessage(), e);
    }

    /** Batches of training. */
    BatchSampler training() {
        return usable(() -> {
            int rows = config.training().batch();
            int context = config.model().shape().context();
            return config.data().sampling() == DataConfig.Sampling.SEQUENTIAL
                    ? new SequentialRows(shard.training(), rows, context)
                    : new RandomOffsets(shard.training(), rows, context, config.seed());
        });
    }

    /** Rows of validation, in order; each token counts once. */
    SequentialRows validation() {
        if (shard.validation().size() == 0) {
            throw new UsageException(
                    "data.validation-fraction: there is no validation text; give a fraction above 0 or data.validation-paths");
        }
        return usable(() -> new SequentialRows(
                shard.validation(),
                config.training().batch(),
                config.model().shape().context()));
    }

    boolean hasValidation() {
        return shard.validation().size() > config.model().shape().context();
    }

    TokenDataset trainingTokens() {
        return shard.training();
    }

    /** Bytes of each id's text, for bits per byte. */
    static TokenBytes bytes(Tokenizer tokenizer) {
        return new TokenBytes(tokenizer);
    }

    private static <T> T usable(Supplier<T> sampler) {
        try {
            return sampler.get();
        } catch (IllegalArgumentException e) {
            throw new UsageException("data: " + e.getMessage());
        }
    }

    @Override
    public void close() {
        shard.close();
    }
}
