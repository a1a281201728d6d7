"""The commands that backtest, advise on and explain alert rules."""
