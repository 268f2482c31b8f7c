"""Real time without ROS: the controller's core, safety, the fixed-rate loop and its timing statistics."""
