package io.mor.cli;

import io.mor.runtime.generate.GeneratedToken;
import java.util.List;
import java.util.stream.Collectors;

/** Text with each token coloured by how many recursions it went through; without colour, the depths stand in a line of their own below. */
final class DepthText {

    private DepthText() {}

    static String of(Console console, String prompt, List<GeneratedToken> tokens, DepthColours colours) {
        if (console.colour()) {
            return prompt
                    + tokens.stream()
                            .map(token -> colours.paint(console.printable(token.text()), token.depth()))
                            .collect(Collectors.joining());
        }
        String text = prompt
                + tokens.stream().map(token -> console.printable(token.text())).collect(Collectors.joining());
        String depths =
                tokens.stream().map(token -> String.valueOf(token.depth())).collect(Collectors.joining());
        return text + System.lineSeparator() + "depths of the new tokens: " + depths;
    }
}
