/** Expert-choice routing and the causal selectors that go with it. */
package io.mor.router.expertchoice;
