pub fn areas() -> [&'static [crate::cases::Case]; 0] {
    []
}
