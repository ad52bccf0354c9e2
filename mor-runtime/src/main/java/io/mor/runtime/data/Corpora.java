package io.mor.runtime.data;

import io.mor.api.data.Corpus;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Corpora by location, as configs and command lines name them:
 *
 * <ul>
 *   <li>{@code notes.txt}: a text file, one document
 *   <li>{@code speeches} or {@code speeches/**}{@code /*.txt}: the files below a folder, sorted
 *   <li>{@code guava-sources.jar!/**}{@code /*.java}: entries of a zip or jar file, sorted; without {@code !/} all of them
 *   <li>{@code data.jsonl}, {@code data.ndjson}: JSON lines
 * </ul>
 *
 * A location may begin with {@code ~/} and may hold system properties: {@code ${java.home}/lib/src.zip!/java.base/java/util/**}{@code
 * /*.java}.
 */
public final class Corpora {

    private static final Pattern PROPERTY = Pattern.compile("\\$\\{([^}]*)\\}");

    private Corpora() {}

    /**
     * The corpus at locations, one after the other.
     *
     * @param locations at least one
     * @param field of JSON lines that holds the text
     * @param listener hears warnings
     * @throws CorpusException naming the location if there is nothing there or the pattern is wrong
     */
    public static Corpus of(List<String> locations, String field, DataListener listener) throws IOException {
        if (locations.isEmpty()) {
            throw new CorpusException(
                    "no corpus is given; name a text file, a folder, archive.zip!/pattern or a .jsonl file");
        }
        List<Corpus> parts = new ArrayList<>();
        for (String location : locations) {
            parts.add(of(location, field, listener));
        }
        return parts.size() == 1 ? parts.getFirst() : new ConcatenatedCorpus(parts);
    }

    /** The corpus at one location. See {@link #of(List, String, DataListener)}. */
    public static Corpus of(String location, String field, DataListener listener) throws IOException {
        String expanded = expand(location);
        if (expanded.isBlank()) {
            throw new CorpusException(
                    "the location of a corpus is blank; name a text file, a folder, archive.zip!/pattern or a .jsonl file");
        }
        int bang = expanded.indexOf("!/");
        if (bang >= 0) {
            Path archive = Path.of(expanded.substring(0, bang));
            String glob = expanded.substring(bang + 2);
            CorpusFiles.requireFile(archive);
            return new ArchiveCorpus(archive, glob.isEmpty() ? "**" : glob, listener);
        }
        Path path = Path.of(expanded);
        if (Files.isDirectory(path)) {
            return new FolderCorpus(path, "**", listener);
        }
        if (!Files.exists(path) && Glob.isGlob(expanded)) {
            return folder(expanded, listener);
        }
        CorpusFiles.requireFile(path);
        String name = expanded.toLowerCase(Locale.ROOT);
        if (name.endsWith(".jsonl") || name.endsWith(".ndjson")) {
            return new JsonLinesCorpus(path, field);
        }
        if (name.endsWith(".zip") || name.endsWith(".jar")) {
            return new ArchiveCorpus(path, "**", listener);
        }
        return new TextFileCorpus(path, listener);
    }

    /** A folder and a glob in one: the glob begins at the first path element with a wild card. */
    private static Corpus folder(String location, DataListener listener) throws IOException {
        int element = 0;
        for (int slash = location.indexOf('/');
                slash >= 0 && !Glob.isGlob(location.substring(0, slash));
                slash = location.indexOf('/', slash + 1)) {
            element = slash + 1;
        }
        Path folder = Path.of(element == 0 ? "." : location.substring(0, element));
        if (!Files.isDirectory(folder)) {
            throw new CorpusException(CorpusFiles.missing(folder));
        }
        return new FolderCorpus(folder, location.substring(element), listener);
    }

    private static String expand(String location) throws CorpusException {
        String home = location.startsWith("~/") ? System.getProperty("user.home") + location.substring(1) : location;
        Matcher matcher = PROPERTY.matcher(home);
        StringBuilder expanded = new StringBuilder();
        while (matcher.find()) {
            String value = System.getProperty(matcher.group(1));
            if (value == null) {
                throw new CorpusException("corpus '" + location + "' names the system property '" + matcher.group(1)
                        + "', which is not set; set it with -D");
            }
            matcher.appendReplacement(expanded, Matcher.quoteReplacement(value));
        }
        return matcher.appendTail(expanded).toString();
    }
}
