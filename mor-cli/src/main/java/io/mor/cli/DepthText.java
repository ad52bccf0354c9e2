package io.mor.cli;

import io.mor.runtime.generate.GeneratedToken;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Text with each token coloured by how many recursions it went through; without colour, the depths stand in a line of their own below. */
final class DepthText {

  /** From few to many recursions: 256-colour codes that read on light and dark. */
  private static final int[] COLOURS = {245, 33, 172, 160, 127};

  private DepthText() {}

  static String of(Console console, String prompt, List<GeneratedToken> tokens) {
    if (!console.colour()) {
      String text = prompt + tokens.stream().map(GeneratedToken::text).collect(Collectors.joining());
      String depths = tokens.stream().map(token -> String.valueOf(token.depth())).collect(Collectors.joining());
      return text + System.lineSeparator() + "depths of the new tokens: " + depths;
    }
    return prompt + tokens.stream().map(token -> painted(token.text(), token.depth())).collect(Collectors.joining());
  }

  static String legend(Console console, int recursions) {
    return IntStream.rangeClosed(1, recursions)
        .mapToObj(depth -> console.colour() ? painted(String.valueOf(depth), depth) : String.valueOf(depth))
        .collect(Collectors.joining(" "));
  }

  private static String painted(String text, int depth) {
    return "\u001b[38;5;" + COLOURS[Math.min(depth, COLOURS.length - 1)] + "m" + text + "\u001b[0m";
  }
}
