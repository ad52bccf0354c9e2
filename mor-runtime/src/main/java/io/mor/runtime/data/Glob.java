package io.mor.runtime.data;

import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.util.List;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Stream;

/**
 * A glob over paths with '/': as {@link java.nio.file.FileSystem#getPathMatcher}, but a leading {@code **}{@code /} also matches no folder
 * at all.
 */
final class Glob {

    private final String pattern;
    private final List<PathMatcher> matchers;

    Glob(String pattern) throws CorpusException {
        this.pattern = pattern;
        try {
            this.matchers = Stream.of(pattern, pattern.startsWith("**/") ? pattern.substring(3) : pattern)
                    .distinct()
                    .map(glob -> FileSystems.getDefault().getPathMatcher("glob:" + glob))
                    .toList();
        } catch (PatternSyntaxException e) {
            throw new CorpusException(
                    "'" + pattern + "' is not a glob: " + e.getDescription()
                            + "; write it like **/*.java or {a,b}/*.txt",
                    e);
        }
    }

    boolean matches(Path relative) {
        return matchers.stream().anyMatch(matcher -> matcher.matches(relative));
    }

    static boolean isGlob(String text) {
        return text.chars().anyMatch(c -> "*?[{".indexOf(c) >= 0);
    }

    @Override
    public String toString() {
        return pattern;
    }
}
