"""`--search`: starts, pauses and goes on with configurations by what each still promises for its price."""
