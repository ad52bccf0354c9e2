/** Tokenizers of the Hugging Face format. */
package io.mor.tokenizer.huggingface;
