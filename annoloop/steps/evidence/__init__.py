"""What can be said of a project and on what ground: verdict, curve, forecast, pace, agreement, the report."""
