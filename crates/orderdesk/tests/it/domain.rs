//! Steps that no order can take: they are refused by the compiler, with these words.

#[test]
fn steps_that_a_stage_does_not_allow_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/it/compile_fail/*.rs");
}
