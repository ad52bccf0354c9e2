package io.mor.runtime.model;

/**
 * Which token a row is.
 *
 * @param sequence its sequence, or slot in generation, from 0
 * @param position its position there, from 0
 * @param recursion the recursion it is about to enter, from 1
 */
public record TokenRow(int sequence, int position, int recursion) {}
