package io.mor.runtime.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.mor.api.data.Corpus;
import io.mor.api.data.Corpus.Document;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CorporaTest {

    @TempDir
    Path folder;

    private final RecordingListener listener = new RecordingListener();

    private Corpus corpus(Object location) throws IOException {
        return Corpora.of(location.toString(), "text", listener);
    }

    private static List<String> texts(Corpus corpus) throws IOException {
        try (Stream<Document> documents = corpus.documents()) {
            return documents.map(Document::text).toList();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    private Path write(String name, String text) throws IOException {
        Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        return Files.writeString(file, text);
    }

    private Path zip(String name, String... namesAndTexts) throws IOException {
        Path file = folder.resolve(name);
        try (OutputStream out = Files.newOutputStream(file);
                ZipOutputStream zip = new ZipOutputStream(out)) {
            for (int i = 0; i < namesAndTexts.length; i += 2) {
                zip.putNextEntry(new ZipEntry(namesAndTexts[i]));
                zip.write(namesAndTexts[i + 1].getBytes(StandardCharsets.UTF_8));
            }
        }
        return file;
    }

    private void assertRefused(Object location, String... parts) {
        CorpusException e = assertThrows(CorpusException.class, () -> texts(corpus(location)));
        for (String part : parts) {
            assertTrue(e.getMessage().contains(part), e.getMessage());
        }
    }

    @Test
    void aTextFileIsOneDocument() throws IOException {
        Path file = write("a.txt", "Füße\nzwei");
        assertEquals(List.of("Füße\nzwei"), texts(corpus(file)));
        assertEquals(List.of(), listener.warnings);
    }

    @Test
    void aFolderIsReadInOrderAndByPattern() throws IOException {
        write("d/b.txt", "b");
        write("d/a/z.txt", "z");
        write("d/a/y.md", "y");
        write("d/a.txt", "a");
        assertEquals(List.of("a", "y", "z", "b"), texts(corpus(folder.resolve("d"))));
        assertEquals(List.of("a", "z", "b"), texts(corpus(folder + "/d/**/*.txt")));
        assertEquals(List.of("a", "b"), texts(corpus(folder + "/d/*.txt")));
        assertEquals(List.of("y", "z"), texts(corpus(folder + "/d/a/{y,z}.*")));
        assertRefused(folder + "/d/*.java", "no file below", "*.java");
        assertRefused(folder + "/d/[", "is not a glob");
        assertRefused(folder + "/nowhere/*.java", "no such file or folder", "nowhere");
    }

    @Test
    void anArchiveIsReadSortedWhateverItsOwnOrder() throws IOException {
        Path file = zip("x-sources.jar", "p/B.java", "b", "META-INF/MANIFEST.MF", "m", "A.java", "a", "p/A.java", "pa");
        assertEquals(List.of("a", "pa", "b"), texts(corpus(file + "!/**/*.java")));
        assertEquals(List.of("pa", "b"), texts(corpus(file + "!/p/*.java")));
        assertEquals(List.of("a", "m", "pa", "b"), texts(corpus(file)));
        assertRefused(file + "!/**/*.py", "no entry of", "*.py");
        assertRefused(folder.resolve("missing.jar") + "!/**", "no such file", "missing.jar");
        assertRefused(write("broken.jar", "no zip") + "!/**", "broken.jar", "cannot be read as a zip");
    }

    @Test
    void anArchiveThatBreaksOffIsAnErrorThatNamesIt() throws IOException {
        Path file = zip("x.zip", "a.txt", "hello hello hello hello hello");
        byte[] bytes = Files.readAllBytes(file);
        for (int i = 37; i < 45; i++) {
            bytes[i] ^= 0x5a;
        }
        Files.write(file, bytes);
        assertRefused(file, "x.zip!/a.txt", "cannot be read");
    }

    @Test
    void theSourcesOfTheJdkAreACorpus() throws IOException {
        assumeTrue(
                Files.exists(Path.of(System.getProperty("java.home"), "lib/src.zip")),
                "this JDK has no lib/src.zip: skipped");
        Corpus corpus = corpus("${java.home}/lib/src.zip!/java.base/java/util/function/*.java");
        List<String> texts = texts(corpus);
        assertTrue(texts.size() > 40, "only " + texts.size());
        assertTrue(texts.getFirst().contains("interface BiConsumer"));
        assertEquals(corpus.fingerprint(), corpus.fingerprint());
    }

    @Test
    void jsonLinesGiveOneFieldOfEachLine() throws IOException {
        Path file = write("a.jsonl", "{\"text\":\"one\\n\",\"id\":1}\n\n  {\"id\":2,\"text\":\"zwei ö\"}");
        assertEquals(List.of("one\n", "zwei ö"), texts(corpus(file)));
        assertEquals(List.of(), texts(new JsonLinesCorpus(write("blank.jsonl", "\n\n"), "text")));
        assertRefused(write("b.jsonl", "{\"text\":\"one\"}\n{\"body\":\"two\"}"), "b.jsonl:2", "'text'", "body");
        assertRefused(write("c.jsonl", "{\"text\":\"one\"}\n{\"text\":"), "c.jsonl:2", "is not JSON");
        assertRefused(write("d.jsonl", "{\"text\":7}"), "d.jsonl:1");
        Path latin = folder.resolve("e.jsonl");
        Files.write(latin, "{\"text\":\"ä\"}".getBytes(StandardCharsets.ISO_8859_1));
        assertRefused(latin, "e.jsonl", "UTF-8");
    }

    @Test
    void missingAndEmptyAreNamedWithARemedy() throws IOException {
        assertRefused(folder.resolve("no.txt"), "no such file or folder", "no.txt", "check the path");
        assertRefused("no-such-file.txt", "relative paths start at");
        assertRefused(write("empty.txt", ""), "empty.txt is empty", "give a file");
        assertRefused(write("empty.jsonl", ""), "empty.jsonl is empty");
        assertRefused("${no.such.property}/a", "no.such.property");
        assertRefused(" ", "blank");
        assertThrows(CorpusException.class, () -> Corpora.of(List.of(), "text", listener));
    }

    @Test
    void whatIsNotUtf8IsReplacedAndCounted() throws IOException {
        Path file = folder.resolve("latin.txt");
        Files.write(file, "Füße \uFFFD".replace("\uFFFD", "ä").getBytes(StandardCharsets.ISO_8859_1));
        assertEquals(List.of("F\uFFFD\uFFFDe \uFFFD"), texts(corpus(file)));
        assertEquals(1, listener.warnings.size());
        assertTrue(
                listener.warnings.getFirst().contains("latin.txt: 3 byte sequences are not UTF-8"),
                listener.warnings.getFirst());

        listener.warnings.clear();
        texts(corpus(write("honest.txt", "a \uFFFD that was there")));
        assertEquals(List.of(), listener.warnings, "a replacement character of the text itself is no fault");
    }

    @Test
    void corporaFollowEachOther() throws IOException {
        Path text = write("a.txt", "a");
        Path lines = write("b.jsonl", "{\"text\":\"b\"}\n{\"text\":\"c\"}");
        Corpus both = Corpora.of(List.of(lines.toString(), text.toString()), "text", listener);
        assertEquals(List.of("b", "c", "a"), texts(both));
        assertNotEquals(
                both.fingerprint(),
                Corpora.of(List.of(text.toString(), lines.toString()), "text", listener)
                        .fingerprint());
    }

    @Test
    void fingerprintsFollowTheFiles() throws IOException {
        Path file = write("d/a.txt", "a");
        Corpus corpus = corpus(folder.resolve("d"));
        String before = corpus.fingerprint();
        assertEquals(before, corpus.fingerprint());
        write("d/b.txt", "");
        assertNotEquals(before, corpus.fingerprint());
        String single = corpus(file).fingerprint();
        Files.writeString(file, "ab");
        assertNotEquals(single, corpus(file).fingerprint());

        String archive = corpus(zip("one.zip", "a", "1", "b", "2")).fingerprint();
        assertEquals(
                archive, corpus(zip("two.zip", "b", "2", "a", "1")).fingerprint(), "names and contents are the same");
        assertNotEquals(archive, corpus(zip("three.zip", "a", "1", "b", "3")).fingerprint());
    }
}
