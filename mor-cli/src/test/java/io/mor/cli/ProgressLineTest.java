package io.mor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ProgressLineTest {

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private long now;

    private ProgressLine line(boolean terminal, int columns) {
        PrintStream err = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        return new ProgressLine(
                new Console(err, err, false, false, terminal, columns, OptionalLong.empty()), () -> now);
    }

    private String written() {
        return bytes.toString(StandardCharsets.UTF_8);
    }

    private void pass(long milliseconds) {
        now += TimeUnit.MILLISECONDS.toNanos(milliseconds);
    }

    @Test
    void aTerminalHasOneLineThatIsWrittenOver() {
        ProgressLine line = line(true, 80);
        line.show("one");
        pass(10);
        line.show("left out, for it comes too soon");
        pass(200);
        line.show("two");
        line.finish("three");
        assertEquals("\r\u001b[Kone\r\u001b[Ktwo\r\u001b[Kthree" + System.lineSeparator(), written());
    }

    @Test
    void aLineIsCutAtTheEndOfTheTerminal() {
        line(true, 24).show("x".repeat(100));
        assertEquals("\r\u001b[K" + "x".repeat(23), written());
    }

    @Test
    void elsewhereThereIsAPlainLineEveryFewSecondsAndOneAtTheEnd() {
        ProgressLine line = line(false, 80);
        for (int i = 0; i < 100; i++) {
            line.show("at " + i);
            pass(100);
        }
        line.finish("done");
        assertEquals(String.join(System.lineSeparator(), "at 0", "at 50", "done", ""), written());
        assertFalse(written().contains("\u001b"));
    }

    @Test
    void aMessageBetweenTwoUpdatesStandsOnALineOfItsOwn() {
        ProgressLine line = line(true, 80);
        line.show("working");
        line.print("something to know");
        pass(1000);
        line.show("working on");
        line.close();
        String end = System.lineSeparator();
        assertEquals("\r\u001b[Kworking\r\u001b[Ksomething to know" + end + "\r\u001b[Kworking on" + end, written());
    }

    @ParameterizedTest
    @CsvSource({"0, 0:00", "7.4, 0:07", "59.6, 1:00", "750, 12:30", "11100, 3:05:00", "NaN, ?", "Infinity, ?", "-1, ?"})
    void durationsAreReadAtAGlance(double seconds, String text) {
        assertEquals(text, ProgressLine.duration(seconds));
    }

    @ParameterizedTest
    @CsvSource({"0, [....]", "0.5, [##..]", "1, [####]", "1.5, [####]"})
    void barsAreAsFullAsTheWork(double part, String bar) {
        assertEquals(bar, ProgressLine.bar(part, 4));
    }
}
