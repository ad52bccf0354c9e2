/** Reading models and tokenizers of other programs. */
package io.mor.runtime.importer;
